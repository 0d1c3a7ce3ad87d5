"""A file that is whole or not there: written beside its place, synced, renamed; a full disk is one line."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from visant_cli.failure import ExitStatus, Failure


def whole(file: Path, pieces: Iterable[bytes]) -> None:
    """`pieces` as `file`. What ends it early leaves what was there before. Raises Failure where it cannot be stored."""
    part = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as opened:
                for piece in pieces:
                    opened.write(piece)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(file)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise not_stored(error, file) from None


def not_stored(error: OSError, file: Path) -> Failure:
    """Why, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(f"{file.parent}: the disk is full: make room, then the same command goes on", ExitStatus.LOCAL)
    return Failure(f"{file}: {error.strerror or error}: it was not stored", ExitStatus.LOCAL)
