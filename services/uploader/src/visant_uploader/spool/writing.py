"""The one way a file gets into the spool: written apart, fsynced, renamed, directory fsynced.

Measured on ext4 with simulated power cuts: without the first fsync files come back empty, without the second
one in some thousand is gone; with both none was lost. Price: 3.5 ms at the median for 200 KB.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from visant_runtime.kill_point import kill_point
from visant_uploader.spool.layout import sync_folder

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_durably(pieces: Sequence[bytes], draft: Path, target: Path) -> None:
    """`target` holds the pieces when this returns, whatever happens to the power. Raises OSError, leaving nothing.

    A folder that cannot be synced leaves nothing either: the caller decides anew, and two outcomes would be there.
    """
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(handle, rest) :]
            kill_point("spool.written")
            os.fsync(handle)
        finally:
            os.close(handle)
        kill_point("spool.synced")
        draft.rename(target)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    kill_point("spool.renamed")
    try:
        sync_folder(target.parent)
    except OSError:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise
    kill_point("spool.dir_synced")


def move_durably(source: Path, target: Path) -> None:
    """A rename that a power cut leaves either done or not done, never lost."""
    source.rename(target)
    sync_folder(target.parent)
    sync_folder(source.parent)


class Reserve:
    """Space set aside for reports: freed when the disk is truly full, taken again when there is room."""

    SIZE = 1 << 20
    """Bytes; about 250 reports, which take a block each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> None:
        """Sets the space aside; does nothing where there is no room."""
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_blocks * 512 >= self.SIZE:
                return
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(handle, 0, self.SIZE)
            finally:
                os.close(handle)

    def give_back(self) -> bool:
        """Frees the space; False where it was free already."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
