"""What happened, one plain line an event: to standard output (the journal) and to a file that is rotated."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path


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

    def _line(self, level: str, text: str) -> None:
        line = " ".join(text.split())
        with contextlib.suppress(OSError):
            print(f"[{level}] {line}", file=sys.stdout, flush=True)
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{now()} [{level}] {line}\n")
