"""How much of the card pictures may take. Reports are small and not limited."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from visant_uploader.spool.writing import DISK_FULL


class SpoolFull(Exception):
    """No room for another picture; the text says which limit."""


class Room:
    """Two limits in bytes: of the spool's pictures, and of what stays free on the disk below `root`."""

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int,
        min_free_bytes: int,
        used: Callable[[], int],
        free_bytes: Callable[[Path], int] | None = None,
    ) -> None:
        """`used` tells the bytes of the pictures that are there, `free_bytes` the disk's (tests replace it)."""
        self.max_bytes = max_bytes
        self.min_free_bytes = min_free_bytes
        self._root = root
        self._used = used
        self._free_bytes = free_bytes or disk_free
        self._guard = threading.Lock()
        self._coming = 0

    def free_bytes(self) -> int:
        """Of the disk."""
        return self._free_bytes(self._root)

    def is_above_floor(self) -> bool:
        """The disk has what SPOOL_MIN_FREE_BYTES asks for."""
        return self.free_bytes() >= self.min_free_bytes

    @contextmanager
    def booked(self, size: int) -> Iterator[None]:
        """Room for a picture of `size` bytes while it is written. Raises SpoolFull, also where the disk is full."""
        free = self.free_bytes()
        with self._guard:
            used = self._used() + self._coming
            if used + size > self.max_bytes:
                raise SpoolFull(f"{used} of SPOOL_MAX_BYTES={self.max_bytes} are used")
            if free - self._coming - size < self.min_free_bytes:
                raise SpoolFull(f"{free} bytes of the disk are free, SPOOL_MIN_FREE_BYTES={self.min_free_bytes}")
            self._coming += size
        try:
            yield
        except OSError as error:
            if error.errno in DISK_FULL:
                raise SpoolFull(f"the disk is full ({error.strerror})") from None
            raise
        finally:
            with self._guard:
                self._coming -= size


def disk_free(path: Path) -> int:
    """Bytes of the file system that an ordinary user may still write."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
