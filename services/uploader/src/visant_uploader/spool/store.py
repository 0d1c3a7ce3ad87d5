"""The spool: an outcome exists exactly when its file does.

Blocking calls; the loops call them in threads. One uploader a spool, held by a lock.
"""

import fcntl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from visant_contract.ids import trigger_key
from visant_runtime.durable import sync_folder
from visant_runtime.kill_point import kill_point
from visant_uploader.counters import Counters
from visant_uploader.spool.contents import Contents
from visant_uploader.spool.counts import SpoolCounts
from visant_uploader.spool.file_format import SpoolHeader, encode
from visant_uploader.spool.layout import PICTURE, REPORT, UNREADABLE, Destination, Folders, outcome_files
from visant_uploader.spool.recovery import settle_pairs, sort_unreleased, sweep_drafts, take_incoming
from visant_uploader.spool.room import Room
from visant_uploader.spool.writing import DISK_FULL, Reserve, move_durably, write_durably


class SpoolInUse(Exception):
    """Another uploader holds the lock."""


class Spool:
    """`room` has the limits; `free_bytes` tells the disk's free space under a path (tests replace it)."""

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int,
        min_free_bytes: int,
        counters: Counters,
        free_bytes: Callable[[Path], int] | None = None,
    ) -> None:
        self.folders = Folders(root)
        self.room = Room(
            root,
            max_bytes=max_bytes,
            min_free_bytes=min_free_bytes,
            used=lambda: self.contents().picture_bytes(),
            free_bytes=free_bytes,
        )
        self._counters = counters
        self._reserve = Reserve(root / "reserve")
        self._lock_file: IO[str] | None = None
        self.counts = SpoolCounts(self.folders)

    def open(self) -> None:
        """Takes the lock, ends what a power cut left half done, counts. Raises SpoolInUse, OSError."""
        self.folders.make()
        lock_file = (self.folders.root / "lock").open("w")
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock_file.close()
            raise SpoolInUse(f"{self.folders.root} is in use by another uploader") from None
        self._lock_file = lock_file
        sweep_drafts(self.folders)
        settle_pairs(self.folders)
        self.counts.count_all()
        self._reserve.take()

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    # ---- outcomes come in

    def find(self, cloud_id: str, device_id: str, trigger_id: str) -> str | None:
        """The name of the trigger's outcome file, in whatever folder it lies; None: no outcome yet."""
        key = trigger_key(cloud_id, trigger_id)
        folders = self.folders
        own = folders.outbox / Destination(cloud_id, device_id).place
        for folder in (folders.unacknowledged, own, folders.incoming, folders.dead_letter, folders.quarantine):
            for suffix in (PICTURE, REPORT):
                if (folder / (key + suffix)).exists():
                    return key + suffix
        return None

    def put(self, header: SpoolHeader, body: bytes = b"") -> str:
        """Writes the outcome, durable when this returns its file name; it waits for `release`.

        Raises SpoolFull for a picture that the limits or the disk refuse, OSError where the disk fails otherwise.
        """
        sealed, pieces = encode(header, body)
        size = sum(map(len, pieces))
        name = sealed.file_name()
        if sealed.kind == "report":
            self._write_report(pieces, name, self.folders.unacknowledged)
        else:
            with self.room.booked(size):
                write_durably(pieces, self.folders.draft / name, self.folders.unacknowledged / name)
        self._written(size)
        with self.counts.change() as contents:
            contents.unacknowledged.count(name, size)
        return name

    def release(self, destination: Destination, name: str) -> bool:
        """The command is acknowledged: delivery may have it. False where the file is not here (any more).

        Not fsynced: after a power cut the file is in one of the two folders, and either is right.
        """
        source = self.folders.unacknowledged / name
        with self.counts.moving:
            try:
                size = source.stat().st_size
            except FileNotFoundError:
                return False
            source.rename(self.folders.place(destination) / name)
            kill_point("spool.released")
            with self.counts.change() as contents:
                contents.unacknowledged.count(name, size, -1)
                contents.place(destination.place).count(name, size)
        return True

    def unreleased(self) -> list[tuple[Destination, str]]:
        """Outcomes whose commands were not acknowledged; damaged ones go to quarantine. Before the first `put`."""
        found, damaged = sort_unreleased(self.folders)
        if found or damaged:
            self._counters.add("spool_damaged", damaged)
            self.counts.count_all()
        return found

    def take_incoming(self) -> list[tuple[Destination, str]]:
        """Moves what a technician put back into its outbox; a picture replaces a report of failure."""
        found, damaged = take_incoming(self.folders)
        if found or damaged:
            self._counters.add("spool_damaged", damaged)
            self.counts.count_again()
        return found

    # ---- outcomes go out

    def outbox(self, destination: Destination) -> list[tuple[int, str]]:
        """(time of writing in nanoseconds of the wall clock, name) of all that waits for this destination."""
        found = []
        for entry in outcome_files(self.folders.place(destination)):
            with suppress(FileNotFoundError):  # delivered while we look
                found.append((entry.stat().st_mtime_ns, entry.name))
        return found

    def read(self, destination: Destination, name: str) -> bytes:
        """The file's bytes. Raises FileNotFoundError, OSError."""
        return (self.folders.place(destination) / name).read_bytes()

    def delivered(self, destination: Destination, name: str) -> None:
        """The receipt is here: the file goes, durably."""
        self._remove(destination, name)

    def refuse(self, destination: Destination, name: str, report: SpoolHeader | None) -> str | None:
        """The cloud will never take it: the file goes to dead-letter, `report` takes its place. Returns its name."""
        return self._replace(destination, name, report, self.folders.dead_letter, "dead_letter")

    def quarantine(self, destination: Destination, name: str, report: SpoolHeader | None) -> str | None:
        """The file is damaged: it goes to quarantine, `report`, where the trigger is known, takes its place."""
        self._counters.add("spool_damaged")
        return self._replace(destination, name, report, self.folders.quarantine, "quarantine")

    # ---- figures

    def contents(self) -> Contents:
        """A copy of the counts."""
        return self.counts.copy()

    def restore_reserve(self) -> None:
        """Takes the reserve again once pictures fit once more."""
        if self.room.is_above_floor():
            self._reserve.take()

    # ---- inside

    def _write_report(self, pieces: list[bytes], name: str, folder: Path) -> None:
        """Reports may use the reserve."""
        try:
            write_durably(pieces, self.folders.draft / name, folder / name)
        except OSError as error:
            if error.errno not in DISK_FULL or not self._reserve.give_back():
                raise
            write_durably(pieces, self.folders.draft / name, folder / name)

    def _replace(
        self, destination: Destination, name: str, report: SpoolHeader | None, folder: Path, step: str
    ) -> str | None:
        """The report first: a crash in between leaves both, and `settle_pairs` finishes the move at the start."""
        report_name = None
        if report is None:
            lost = folder == self.folders.quarantine
            self._move(destination, name, folder, name + UNREADABLE if lost else name)
        else:
            sealed, pieces = encode(report)
            report_name = sealed.file_name()
            # a damaged report is simply replaced by the rename, its successor has the same name
            with self.counts.moving:
                self._write_report(pieces, report_name, self.folders.place(destination))
                if report_name != name:
                    with self.counts.change() as contents:
                        contents.place(destination.place).count(report_name, 0)
            self._written(sum(map(len, pieces)))
            kill_point(f"{step}.reported")
            if report_name != name:
                self._move(destination, name, folder, name)
        kill_point(f"{step}.moved")
        return report_name

    def _move(self, destination: Destination, name: str, folder: Path, new_name: str) -> None:
        source = self.folders.place(destination) / name
        with self.counts.moving:
            size = source.stat().st_size
            move_durably(source, folder / new_name)
            with self.counts.change() as contents:
                contents.place(destination.place).count(name, size, -1)
                aside = contents.dead_letter if folder == self.folders.dead_letter else contents.quarantine
                aside.count(new_name, size)

    def _remove(self, destination: Destination, name: str) -> None:
        path = self.folders.place(destination) / name
        with self.counts.moving:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return
            with self.counts.change() as contents:
                contents.place(destination.place).count(name, size, -1)
        sync_folder(path.parent)

    def _written(self, size: int) -> None:
        self._counters.add("spool_files_written")
        self._counters.add("spool_bytes_written", size)
