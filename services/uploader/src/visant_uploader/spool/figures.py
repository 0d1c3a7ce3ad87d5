"""The spool in figures: what lies in it, whether one more picture fits (SpoolFull), how fast it fills.

Counted once from the folders and then kept in step with every move: a full card holds tens of thousands of files.
The limits are of pictures; reports are small and not limited.
"""

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from visant_contract.telemetry import SpoolHealth
from visant_uploader.spool.layout import REPORT, Folders, outcome_files
from visant_uploader.spool.writing import DISK_FULL

DAY = 86400.0
STEP = 600.0
"""Seconds between the points that FillRate keeps: 144 of them make a day."""
KNOWN_AFTER = 600.0
"""Seconds of watching before a rate is worth telling."""


class SpoolFull(Exception):
    """No room for another picture; the text says which limit."""


@dataclass(frozen=True)
class Limits:
    """SPOOL_MAX_BYTES of pictures, and SPOOL_MIN_FREE_BYTES that they leave free on the disk."""

    max_bytes: int
    min_free_bytes: int

    def room(self, used: int, free: int) -> int:
        """Bytes of pictures that still fit where `used` are there and `free` bytes of the disk; may be below 0."""
        return min(self.max_bytes - used, free - self.min_free_bytes)


@dataclass
class Contents:
    """Outcome files by folder; `bytes` of pictures."""

    pictures: Counter[Path] = field(default_factory=Counter)
    reports: Counter[Path] = field(default_factory=Counter)
    bytes: Counter[Path] = field(default_factory=Counter)

    def count(self, file: Path, size: int, sign: int = 1) -> None:
        """`file` is there (1), or it is no more (-1)."""
        if file.name.endswith(REPORT):
            self.reports[file.parent] += sign
        else:
            self.pictures[file.parent] += sign
            self.bytes[file.parent] += sign * size

    def files(self, folder: Path) -> int:
        """Pictures and reports in one folder."""
        return self.pictures[folder] + self.reports[folder]

    def picture_bytes(self) -> int:
        """What SPOOL_MAX_BYTES limits: every picture that is here, refused and damaged ones too."""
        return self.bytes.total()

    def adopt(self, folder: Path, other: "Contents") -> None:
        """The figures of `folder` as `other` has them."""
        for mine, theirs in zip(self._counters(), other._counters(), strict=True):
            mine[folder] = theirs[folder]

    def copy(self) -> "Contents":
        """As it is now."""
        return Contents(*(counter.copy() for counter in self._counters()))

    def _counters(self) -> "tuple[Counter[Path], ...]":
        return (self.pictures, self.reports, self.bytes)


def count(folders: Folders) -> Contents:
    """From the folders; works beside a running uploader. Blocking: a `stat` for each file."""
    contents = Contents()
    for folder in (folders.unacknowledged, *folders.places(), folders.dead_letter, folders.quarantine):
        for entry in outcome_files(folder):
            try:
                contents.count(Path(entry.path), entry.stat().st_size)
            except FileNotFoundError:
                continue
    return contents


class Figures:
    """Counts and limits of a spool in use; safe to call from threads.

    Whoever moves a file holds `moving` until the move is told by `moved`. A count from the folders holds it too: no
    file is counted on both sides of its move, or on neither. Asking waits for neither of them.
    """

    def __init__(self, folders: Folders, limits: Limits, free_bytes: Callable[[Path], int] | None = None) -> None:
        """`free_bytes`: of the disk below a folder (tests replace it)."""
        self.limits = limits
        self.moving = threading.Lock()
        self._folders = folders
        self._free_bytes = free_bytes or disk_free
        self._guard = threading.Lock()
        self._contents = Contents()
        self._coming = 0
        """Bytes of the pictures that are being written."""

    def contents(self) -> Contents:
        """The counts of this moment."""
        with self._guard:
            return self._contents.copy()

    def free_bytes(self) -> int:
        """Of the disk."""
        return self._free_bytes(self._folders.root)

    def is_above_floor(self) -> bool:
        """The disk has what SPOOL_MIN_FREE_BYTES asks for."""
        return self.free_bytes() >= self.limits.min_free_bytes

    def moved(self, size: int, source: Path | None, target: Path | None) -> None:
        """A file of `size` bytes lies elsewhere now. No source: it is new; no target: it is gone."""
        with self._guard:
            if source is not None:
                self._contents.count(source, size, -1)
            if target is not None:
                self._contents.count(target, size)

    @contextmanager
    def booked(self, target: Path, size: int) -> Iterator[None]:
        """Room for a picture of `size` bytes while it is written to `target`; counted there where that went well.

        Raises SpoolFull, also where the disk is full.
        """
        free = self.free_bytes()
        with self._guard:
            used = self._contents.picture_bytes() + self._coming
            if used + size > self.limits.max_bytes:
                raise SpoolFull(f"{used} of SPOOL_MAX_BYTES={self.limits.max_bytes} are used")
            if free - self._coming - size < self.limits.min_free_bytes:
                raise SpoolFull(f"{free} bytes of the disk are free, SPOOL_MIN_FREE_BYTES={self.limits.min_free_bytes}")
            self._coming += size
        written = False
        try:
            yield
            written = True
        except OSError as error:
            if error.errno in DISK_FULL:
                raise SpoolFull(f"the disk is full ({error.strerror})") from None
            raise
        finally:
            with self._guard:  # in one step: it is room taken once, neither twice nor not at all
                self._coming -= size
                if written:
                    self._contents.count(target, size)

    def recount(self, *, beside_puts: bool) -> None:
        """From the folders. Beside puts the unacknowledged stay as they were told: new ones come without `moving`, and
        a technician, whose changes are counted so, leaves them alone.
        """
        with self.moving:
            counted = count(self._folders)
            with self._guard:
                if beside_puts:
                    counted.adopt(self._folders.unacknowledged, self._contents)
                self._contents = counted


class FillRate:
    """How fast pictures come: fed with a running sum of bytes; the rate is that of the last day, or since the start."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()

    def note(self, now: float, total_bytes: float) -> None:
        """`total_bytes` captured since the start, at `now` (seconds of a steady clock)."""
        if not self._points or now - self._points[-1][0] >= STEP:
            self._points.append((now, total_bytes))
        while len(self._points) > 1 and now - self._points[1][0] >= DAY:
            self._points.popleft()

    def bytes_a_day(self, now: float, total_bytes: float) -> float | None:
        """None where it was not watched for long enough or nothing came."""
        if not self._points:
            return None
        since, before = self._points[0]
        if now - since < KNOWN_AFTER or total_bytes <= before:
            return None
        return (total_bytes - before) / (now - since) * DAY


def days_left(room_bytes: int, bytes_a_day: float | None) -> float | None:
    """Days until `room_bytes` are used up."""
    return None if not bytes_a_day else max(0, room_bytes) / bytes_a_day


def disk_free(path: Path) -> int:
    """Bytes of the file system that an ordinary user may still write."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def disk_total(path: Path) -> int:
    """Bytes of the file system, used ones included."""
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def spool_health(
    contents: Contents,
    folders: Folders,
    own_place: str | None,
    limits: Limits,
    *,
    free_bytes: int,
    bytes_a_day: float | None,
) -> SpoolHealth:
    """For telemetry and `spool ls`. `own_place`: the outbox folder of the cloud in force; others' files are held."""
    own = None if own_place is None else folders.outbox / own_place
    outbox = {folder for folder in contents.pictures | contents.reports if folder.parent == folders.outbox}
    waiting = [folders.unacknowledged] if own is None else [folders.unacknowledged, own]
    used = contents.picture_bytes()
    return SpoolHealth(
        pictures=sum(contents.pictures[folder] for folder in waiting),
        reports=sum(contents.reports[folder] for folder in waiting),
        bytes=used,
        limit_bytes=limits.max_bytes,
        oldest_age=None if own is None else oldest_age(own),
        held=sum(contents.files(folder) for folder in outbox - {own}),
        dead_letter=contents.files(folders.dead_letter),
        quarantine=contents.files(folders.quarantine),
        days_left=days_left(limits.room(used, free_bytes), bytes_a_day),
    )


def oldest_age(place: Path) -> float | None:
    """Seconds by the wall clock since the oldest file here was written. Blocking."""
    oldest = None
    try:
        for entry in outcome_files(place):
            try:
                written = entry.stat().st_mtime
            except FileNotFoundError:
                continue
            oldest = written if oldest is None else min(oldest, written)
    except FileNotFoundError:
        return None
    return None if oldest is None else max(0.0, datetime.now(UTC).timestamp() - oldest)
