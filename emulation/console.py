"""Many services on one terminal: a time, a name in its colour, the line as the service wrote it."""

import os
import sys
import time
from pathlib import Path
from typing import Protocol, TextIO

_COLOURS = {"redis": "35", "camera": "36", "connector": "32", "uploader": "33", "cloud": "34"}
_COLOURS |= {"mail": "1", "emulation": "1"}
_ALARM = "31"


class Output(Protocol):
    """Where the lines of processes go."""

    def line(self, name: str, text: str) -> None:
        """One line, without its end, of the process `name`."""


class Console:
    """A terminal, or a file that gets the same text without colours (as it does with NO_COLOR set)."""

    def __init__(self, stream: TextIO = sys.stdout, *, width: int = 11) -> None:
        self._stream = stream
        self._width = width
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, name: str, text: str) -> None:
        """`12:34:56.789 EMULATED-1 camera | text`, the name in the colour of its service."""
        now = time.time()
        stamp = f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1000):03d}"
        label = f"{name:<{self._width}}"
        text = "".join(c if c.isprintable() or c == "\t" else "?" for c in text)
        if self._coloured:
            colour = _COLOURS.get(name.split()[-1], "37")
            label = f"\x1b[{colour}m{label}\x1b[0m"
            stamp = f"\x1b[2m{stamp}\x1b[0m"
            if text.startswith(("[ERROR]", "[CRITICAL]")):
                text = f"\x1b[{_ALARM}m{text}\x1b[0m"
        self._write(f"{stamp} {label} | {text}")

    def plain(self, text: str) -> None:
        """A line of our own, as it is."""
        self._write(text)

    def _write(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except (BrokenPipeError, ValueError):  # the terminal is gone; ending is the signal handler's business
            pass
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode(), file=self._stream, flush=True)


class LogFiles:
    """One file a process, lines with the seconds since the log began: what a headless run leaves behind."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._began = time.monotonic()

    def line(self, name: str, text: str) -> None:
        """Appends to `<folder>/<name>.log`."""
        with (self.folder / f"{name.replace(' ', '-')}.log").open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic() - self._began:8.3f} {text}\n")

    def path(self, name: str) -> Path:
        """Where the lines of `name` are."""
        return self.folder / f"{name.replace(' ', '-')}.log"
