"""What happened, one plain line an event: to standard output (the journal) and to a file that is rotated."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path

_CLEAR = "\r\x1b[K"
"""Takes away a line of `progress`."""


def now() -> str:
    """The wall clock in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Log:
    """Writes lines; a log that cannot be written never stops an update."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def info(self, text: str) -> None:
        """Something that is as it should be."""
        self._line("INFO", text)

    def warning(self, text: str) -> None:
        """Something that was dealt with."""
        self._line("WARNING", text)

    def error(self, text: str) -> None:
        """Something that someone should look at."""
        self._line("ERROR", text)

    def progress(self, text: str, *, lasts: bool) -> None:
        """How far something is: a line that the next one replaces on a terminal, elsewhere one where it `lasts`."""
        if sys.stdout.isatty():
            with contextlib.suppress(OSError):
                print(f"{_CLEAR}[INFO] {text}", end="", file=sys.stdout, flush=True)
            if lasts:
                self._keep("INFO", text)
        elif lasts:
            self.info(text)

    def clear(self) -> None:
        """No line of `progress` is left on the terminal: what others print begins at its own line."""
        if sys.stdout.isatty():
            with contextlib.suppress(OSError):
                print(_CLEAR, end="", file=sys.stdout, flush=True)

    def _line(self, level: str, text: str) -> None:
        line = " ".join(text.split())
        self.clear()
        with contextlib.suppress(OSError):
            print(f"[{level}] {line}", file=sys.stdout, flush=True)
        self._keep(level, line)

    def _keep(self, level: str, line: str) -> None:
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{now()} [{level}] {line}\n")
