"""A file that is whole or not there: written beside its place, synced, renamed; a full disk is one line."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from visant_cli.failure import ExitStatus, Failure


def whole(file: Path, pieces: Iterable[bytes], *, private: bool = False) -> None:
    """`pieces` as `file`. What ends it early leaves what was there before. Raises Failure where it cannot be stored.

    `private`: nobody but its owner may ever read it, and two programs may write it at once.
    """
    part = file.with_name(f"{file.name}.{os.getpid()}.part" if private else f"{file.name}.part")
    how = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if private else os.O_TRUNC)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
        descriptor = os.open(part, how, 0o600 if private else 0o666)
        try:
            with open(descriptor, "wb") as opened:
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
