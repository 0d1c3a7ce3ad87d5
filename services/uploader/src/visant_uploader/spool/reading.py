"""The header of an outcome file without its picture. Blocking."""

import os
from pathlib import Path

from visant_uploader.spool.file_format import PEEK, SpoolHeader, peek


def read_header(path: Path) -> SpoolHeader | None:
    """The header alone, from the file's two ends; None where neither copy can be read."""
    try:
        with path.open("rb") as file:
            head = file.read(PEEK)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - PEEK))
            return peek(head, file.read(PEEK))
    except OSError:
        return None
