"""One uploader a spool: an exclusive lock, held for as long as its file is open."""

import fcntl
import time
from pathlib import Path
from typing import IO

from visant_runtime.settings import SettingsError

LOCK_AGAIN = 1.0
"""Seconds between two tries for the lock."""


class SpoolInUse(SettingsError):
    """Another uploader holds the lock."""


def hold(root: Path, patience: float) -> IO[str]:
    """The lock of the spool at `root`; closing it gives it back. `patience`: seconds that a predecessor may need to
    end. Raises SpoolInUse.
    """
    lock_file = (root / "lock").open("w")
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                break
            time.sleep(LOCK_AGAIN)
        else:
            return lock_file
    lock_file.close()
    raise SpoolInUse(f"SPOOL_DIR={root} is in use by another uploader: run one uploader a spool")
