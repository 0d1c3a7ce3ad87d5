"""One visantctl changes a device at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from visantctl.errors import Busy


@contextmanager
def update_lock(
    state: Path,
    doing: str,
    patience: float = 0.0,
    *,
    behind: str = "",
    tell: Callable[[str], None] = lambda _line: None,
) -> Iterator[int]:
    """Hold `state/lock`; yields its descriptor.

    The kernel frees the lock when its last holder ends, `kill -9` included. Docker commands that change something
    inherit the descriptor, so an orphaned `compose up` keeps the next visantctl waiting instead of racing it.
    `doing` is written into it for others to read. Raises Busy after `patience` seconds; at once where `behind` names
    what alone is waited for and the holder does something else.
    """
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + patience
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "unknown"
                if time.monotonic() >= deadline or (behind and not holder.endswith(f", {behind}")):
                    raise Busy(f"another visantctl (pid {holder}) is changing this device: try again later") from None
                if not told:
                    tell(f"another visantctl (pid {holder}) is changing this device: waiting, {patience:g} s at most")
                    told = True
                time.sleep(0.1)
        with contextlib.suppress(OSError):  # on a full disk the number of the holder is missing, not the lock
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}, {doing}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(state: Path) -> bool:
    """True while some visantctl changes this device."""
    try:
        descriptor = os.open(state / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
