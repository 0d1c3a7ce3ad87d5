"""The spool: an outcome exists exactly when its file does.

Blocking calls; the loops call them in threads. One uploader a spool, held by a lock.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import IO, Concatenate, ParamSpec, TypeVar

from visant_contract.ids import trigger_key
from visant_contract.telemetry import SpoolHealth
from visant_runtime.durable import sync_folder
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.kill_point import kill_point
from visant_runtime.settings import SettingsError
from visant_uploader.counters import Counters
from visant_uploader.spool.figures import Figures, Limits, spool_health
from visant_uploader.spool.file_format import SpoolHeader, encode
from visant_uploader.spool.layout import PICTURE, REPORT, UNREADABLE, Destination, Folders, outcome_files
from visant_uploader.spool.lock import hold
from visant_uploader.spool.recovery import collect_incoming, settle_pairs, sort_unreleased, sweep_drafts
from visant_uploader.spool.writing import DISK_FULL, Reserve, move_durably, write_durably

DISK_WITHIN = 60.0
"""Seconds. A worn card holds a flush up for many; what takes longer than this does not come back by itself."""

P = ParamSpec("P")
T = TypeVar("T")


def _on_disk(step: Callable[Concatenate["Spool", P], T]) -> Callable[Concatenate["Spool", P], T]:
    """A loop goes on while a thread of it waits for the disk: its beat says nothing, and the step has its own time."""

    @wraps(step)
    def timed(self: "Spool", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.heartbeat.work(f"spool {step.__name__}", DISK_WITHIN):
            return step(self, *args, **kwargs)

    return timed


class Spool:
    """`figures` has counts and limits; `free_bytes` tells the disk's free space under a path (tests replace it)."""

    def __init__(
        self,
        root: Path,
        limits: Limits,
        counters: Counters,
        heartbeat: Heartbeat,
        *,
        free_bytes: Callable[[Path], int] | None = None,
    ) -> None:
        self.heartbeat = heartbeat
        self.folders = Folders(root)
        self.figures = Figures(self.folders, limits, free_bytes)
        self._counters = counters
        self._reserve = Reserve(root / "reserve")
        self._lock_file: IO[str] | None = None

    def open(self, *, patience: float = 0.0) -> None:
        """Holds the lock from now on, ends what a power cut left half done, counts.

        `patience`: seconds that a predecessor may need to end. Raises SpoolInUse, and SettingsError for a folder that
        cannot be used.
        """
        try:
            self.folders.make()
            self._lock_file = hold(self.folders.root, patience)
            sweep_drafts(self.folders)
            settle_pairs(self.folders)
            self.figures.recount(beside_puts=False)
        except OSError as error:
            raise SettingsError(
                f"SPOOL_DIR={self.folders.root} cannot be used ({error.strerror}): name a writable folder"
            ) from None
        self._reserve.take()

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    # ---- outcomes come in

    def find(self, cloud_id: str, device_id: str, trigger_id: str, *, place: Destination | None = None) -> str | None:
        """The name of the trigger's outcome file, in whatever folder it lies; None: no outcome yet.

        `place`: whose outbox is looked into, where it is not that cloud's own.
        """
        key = trigger_key(cloud_id, trigger_id)
        folders = self.folders
        own = folders.outbox / (place or Destination(cloud_id, device_id)).place
        for folder in (folders.unacknowledged, own, folders.incoming, folders.dead_letter, folders.quarantine):
            for suffix in (PICTURE, REPORT):
                if (folder / (key + suffix)).exists():
                    return key + suffix
        return None

    @_on_disk
    def put(self, header: SpoolHeader, body: bytes = b"") -> str:
        """Writes the outcome, durable when this returns its file name; it waits for `release`.

        Raises SpoolFull for a picture that the limits or the disk refuse, OSError where the disk fails otherwise.
        """
        sealed, pieces = encode(header, body)
        size = sum(map(len, pieces))
        name = sealed.file_name()
        target = self.folders.unacknowledged / name
        if sealed.kind == "report":
            self._write_report(pieces, target)
            self.figures.moved(size, None, target)
        else:
            with self.figures.booked(target, size):
                write_durably(pieces, self.folders.draft / name, target)
        self._written(size)
        return name

    @_on_disk
    def release(self, destination: Destination, name: str) -> bool:
        """The command is acknowledged: delivery may have it. False where the file is not here (any more).

        Not fsynced: after a power cut the file is in one of the two folders, and either is right.
        """
        source = self.folders.unacknowledged / name
        with self.figures.moving:
            try:
                size = source.stat().st_size
            except FileNotFoundError:
                return False
            target = self.folders.place(destination) / name
            source.rename(target)
            kill_point("spool.released")
            self.figures.moved(size, source, target)
        return True

    @_on_disk
    def unreleased(self) -> list[tuple[Destination, str]]:
        """Outcomes whose commands were not acknowledged; damaged ones go to quarantine. Before the first `put`."""
        found, damaged = sort_unreleased(self.folders)
        if damaged:
            self._counters.add("spool_damaged", damaged)
            self.figures.recount(beside_puts=False)
        return found

    @_on_disk
    def collect_incoming(self) -> list[tuple[Destination, str]]:
        """Moves what a technician put back into its outbox; a picture replaces a report of failure."""
        found, damaged = collect_incoming(self.folders)
        if found or damaged:
            self._counters.add("spool_damaged", damaged)
            self.figures.recount(beside_puts=True)
        return found

    @_on_disk
    def succeed(self, before: Destination, now: Destination) -> list[tuple[int, str]]:
        """What waits for one destination waits for another from now on; the files that moved, as `outbox` lists them.

        The files stay as they are: that one lies in the other's place says that it was taken over. A crash leaves
        each in one of the two.
        """
        source = self.folders.outbox / before.place
        if not source.is_dir():
            return []
        target = self.folders.place(now)
        moved = []
        with self.figures.moving:
            for entry in list(outcome_files(source)):
                found = entry.stat()
                (source / entry.name).rename(target / entry.name)
                self.figures.moved(found.st_size, source / entry.name, target / entry.name)
                moved.append((found.st_mtime_ns, entry.name))
        if moved:
            sync_folder(target)
            sync_folder(source)
        return moved

    # ---- outcomes go out

    @_on_disk
    def outbox(self, destination: Destination) -> list[tuple[int, str]]:
        """(time of writing in nanoseconds of the wall clock, name) of all that waits for this destination."""
        found = []
        for entry in outcome_files(self.folders.place(destination)):
            with suppress(FileNotFoundError):  # delivered while we look
                found.append((entry.stat().st_mtime_ns, entry.name))
        return found

    @_on_disk
    def read(self, destination: Destination, name: str) -> bytes:
        """The file's bytes. Raises FileNotFoundError, OSError."""
        return (self.folders.place(destination) / name).read_bytes()

    @_on_disk
    def delivered(self, destination: Destination, name: str, *, durably: bool = True) -> None:
        """The receipt is here: the file goes. Not `durably`, a power cut may bring it back, to be delivered again."""
        self._remove(self.folders.place(destination) / name, durably=durably)

    @_on_disk
    def refuse(self, destination: Destination, name: str, report: SpoolHeader | None) -> str | None:
        """The cloud will never take it: the file goes to dead-letter, `report` takes its place. Returns its name."""
        return self._replace(destination, name, report, self.folders.dead_letter, "dead_letter")

    @_on_disk
    def quarantine(self, destination: Destination, name: str, report: SpoolHeader | None) -> str | None:
        """The file is damaged: it goes to quarantine, `report`, where the trigger is known, takes its place."""
        self._counters.add("spool_damaged")
        return self._replace(destination, name, report, self.folders.quarantine, "quarantine")

    # ---- figures

    def health(self, own: Destination | None, bytes_a_day: float | None) -> SpoolHealth:
        """`own`: whom outcomes go to now; all others' are held. Blocking."""
        return spool_health(
            self.figures.contents(),
            self.folders,
            None if own is None else own.place,
            self.figures.limits,
            free_bytes=self.figures.free_bytes(),
            bytes_a_day=bytes_a_day,
        )

    def restore_reserve(self) -> None:
        """Takes the reserve again once pictures fit once more."""
        if self.figures.is_above_floor():
            self._reserve.take()

    # ---- inside

    def _write_report(self, pieces: list[bytes], target: Path) -> None:
        """Reports may use the reserve."""
        draft = self.folders.draft / target.name
        try:
            write_durably(pieces, draft, target)
        except OSError as error:
            if error.errno not in DISK_FULL or not self._reserve.give_back():
                raise
            write_durably(pieces, draft, target)

    def _replace(
        self, destination: Destination, name: str, report: SpoolHeader | None, folder: Path, step: str
    ) -> str | None:
        """The report first: a crash in between leaves both, and `settle_pairs` finishes the move at the start."""
        place = self.folders.place(destination)
        report_name = None
        if report is None:
            lost = folder == self.folders.quarantine
            self._move(place / name, folder / (name + UNREADABLE if lost else name))
        else:
            sealed, pieces = encode(report)
            report_name = sealed.file_name()
            size = sum(map(len, pieces))
            # a damaged report is simply replaced by the rename, its successor has the same name
            with self.figures.moving:
                self._write_report(pieces, place / report_name)
                if report_name != name:
                    self.figures.moved(size, None, place / report_name)
            self._written(size)
            kill_point(f"{step}.reported")
            if report_name != name:
                self._move(place / name, folder / name)
        kill_point(f"{step}.moved")
        return report_name

    def _move(self, source: Path, target: Path) -> None:
        with self.figures.moving:
            size = source.stat().st_size
            move_durably(source, target)
            self.figures.moved(size, source, target)

    def _remove(self, file: Path, *, durably: bool = True) -> None:
        with self.figures.moving:
            try:
                size = file.stat().st_size
                file.unlink()
            except FileNotFoundError:
                return
            self.figures.moved(size, file, None)
        if durably:
            sync_folder(file.parent)

    def _written(self, size: int) -> None:
        self._counters.add("spool_files_written")
        self._counters.add("spool_bytes_written", size)
