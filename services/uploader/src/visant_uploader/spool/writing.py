"""The one way a file gets into the spool, and where crash tests end it on its way; the space kept for reports."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from visant_runtime import durable
from visant_runtime.durable import sync_folder
from visant_runtime.kill_point import kill_point

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_durably(pieces: Sequence[bytes], draft: Path, target: Path) -> None:
    """`target` holds the pieces when this returns, whatever happens to the power. Raises OSError, leaving nothing.

    A folder that cannot be synced leaves nothing either: the caller decides anew, and two outcomes would be there.
    """
    durable.write(target, pieces, draft=draft, mode=0o640, new=True, step=_kill_point)


def _kill_point(step: durable.Step) -> None:
    match step:
        case "written":
            kill_point("spool.written")
        case "synced":
            kill_point("spool.synced")
        case "renamed":
            kill_point("spool.renamed")
        case "folder_synced":
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
