"""What is printed, and how: tables and words for people, tab-separated lines for pipes, JSON where it is asked for.

Results go to standard output. Notes, questions and progress go to standard error, progress only where that is a
terminal. What others wrote passes through safe_text.py. NO_COLOR and TERM=dumb are heeded.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visant_cli.safe_text import json_text, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Row = dict[str, Any]

COLOURS = {
    "connected": "green",
    "ok": "green",
    "executed": "green",
    "captured": "green",
    "done": "green",
    "delivered": "green",
    "degraded": "yellow",
    "failing": "yellow",
    "queued": "yellow",
    "sent": "cyan",
    "pending": "cyan",
    "waiting": "cyan",
    "running": "cyan",
    "offline": "red",
    "silent": "red",
    "failed": "red",
    "expired": "red",
    "dead": "red",
    "given_up": "red",
    "open": "red",
    "inactive": "bright_black",
    "suspended": "bright_black",
    "never_seen": "bright_black",
    "never_connected": "bright_black",
    "off": "bright_black",
    "cleared": "bright_black",
}
"""A state's word to its colour. The word is always there as well."""


@dataclass(frozen=True)
class Column:
    """`value` of a row as text. `spare`: left out where the terminal is too narrow, the last one first."""

    title: str
    value: Callable[[Row], object]
    spare: bool = False
    state: bool = False
    """It is a word of COLOURS."""


class Output:
    """Of one command. `as_json`: everything on standard output is JSON."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.terminal = sys.stdout.isatty() and not as_json
        self.live = sys.stderr.isatty()
        """Somebody watches: progress is shown."""
        self._bar: Progress | None = None

    def table(self, rows: Iterable[Row], columns: Sequence[Column], *, empty: str) -> None:
        """Rows of a list: a table, tab-separated lines without a header, or one JSON array. `empty`: said for none."""
        if self.as_json:
            print(json_text(list(rows), indent=2))
            return
        if not self.terminal:
            for row in rows:
                print("\t".join(_cell(column, row) for column in columns))
            return
        cells = [[_cell(column, row) for column in columns] for row in rows]
        if not cells:
            self.note(empty)
            return
        self._print_table(columns, cells)

    def _print_table(self, columns: Sequence[Column], cells: list[list[str]]) -> None:
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        console = self._console()
        widths = [max(cell_len(text) for text in (column.title, *rows)) for column, rows in _by_column(columns, cells)]
        kept = list(range(len(columns)))
        for index in reversed(range(len(columns))):
            if sum(widths[one] + 2 for one in kept) - 2 <= console.width:
                break
            if columns[index].spare:
                kept.remove(index)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for index in kept:
            table.add_column(Text(columns[index].title), overflow="fold", no_wrap=False)
        for row in cells:
            styles = [COLOURS.get(row[index], "") if columns[index].state else "" for index in kept]
            table.add_row(*(Text(row[index], style=style) for index, style in zip(kept, styles, strict=True)))
        console.print(table)

    def facts(self, value: Row, lines: Sequence[tuple[str, object]]) -> None:
        """One thing: names and values a line, or the whole of it as JSON."""
        if self.as_json:
            print(json_text(value, indent=2))
            return
        width = max((len(name) for name, _ in lines), default=0)
        for name, said in lines:
            if self.terminal:
                self._print(f"{name:<{width}}", shown(said))
            else:
                print(f"{name}\t{shown(said)}")

    def _print(self, name: str, said: str) -> None:
        from rich.text import Text

        self._console().print(Text.assemble((name, "bold"), "  ", (said, COLOURS.get(said, ""))), soft_wrap=True)

    def record(self, value: Row, line: str | Sequence[object]) -> None:
        """One of a stream: a line of words (several: tab-separated in a pipe), or one line of JSON, at once."""
        if self.as_json:
            text = json_text(value)
        elif isinstance(line, str):
            text = shown(line)
        else:
            between = "  " if self.terminal else "\t"
            text = between.join(shown(one) for one in line if one != "" or not self.terminal)
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(text, soft_wrap=True)  # above the bar, which is on the same terminal
        else:
            print(text, flush=True)

    def done(self, value: Row, line: str) -> None:
        """What a change did: a sentence, or JSON."""
        print(json_text(value, indent=2) if self.as_json else shown(line))

    def secret(self, value: Row, line: str, secret: str) -> None:
        """As `done`, with a secret that is shown once: alone on standard output, where it can be piped on."""
        if self.as_json:
            print(json_text(value, indent=2))
        else:
            self.note(line)
            print(secret)

    def note(self, line: str) -> None:
        """For the person, beside the result."""
        if self._bar is not None:
            self._bar.console.print(shown(line), soft_wrap=True)
        else:
            print(shown(line), file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator["Bar"]:
        """A bar while something goes on; none where nobody watches, and for one piece, whose steps are told."""
        if not self.live or total == 1:
            yield Bar(None, self)
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[said]}", markup=False),
            console=Console(stderr=True, highlight=False, markup=False),
            transient=True,
            redirect_stdout=False,  # it would take the results to standard error
            redirect_stderr=False,
        ) as progress:
            progress.add_task(what, total=total, said="")
            self._bar = progress
            try:
                yield Bar(progress, self)
            finally:
                self._bar = None

    def _console(self) -> "Console":
        from rich.console import Console

        return Console(highlight=False, markup=False, emoji=False)


class Bar:
    """How far something is."""

    def __init__(self, progress: "Progress | None", output: Output) -> None:
        self._progress = progress
        self._output = output

    def to(self, done: int, said: str = "", *, total: int | None = None) -> None:
        """`done` pieces are through."""
        if self._progress is not None:
            task = self._progress.task_ids[0]
            self._progress.update(task, completed=done, total=total, said=shown(said))

    def note(self, line: str) -> None:
        """A line above the bar."""
        self._output.note(line)


def _cell(column: Column, row: Row) -> str:
    value = column.value(row)
    return "-" if value is None or value == "" else shown(value)


def _by_column(columns: Sequence[Column], cells: list[list[str]]) -> Iterator[tuple[Column, list[str]]]:
    for index, column in enumerate(columns):
        yield column, [row[index] for row in cells]


def size(count: float) -> str:
    """Bytes in a unit that is large enough."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
