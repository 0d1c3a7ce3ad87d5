"""What lies in the spool, counted."""

from dataclasses import dataclass, field
from pathlib import Path

from visant_uploader.spool.layout import REPORT, Folders, outcome_files


@dataclass
class Waiting:
    """What lies in one folder; `bytes` of pictures."""

    pictures: int = 0
    reports: int = 0
    bytes: int = 0

    def count(self, name: str, size: int, sign: int = 1) -> None:
        """A file came (1) or went (-1)."""
        if name.endswith(REPORT):
            self.reports += sign
        else:
            self.pictures += sign
            self.bytes += sign * size

    def copy(self) -> "Waiting":
        """As it is now."""
        return Waiting(self.pictures, self.reports, self.bytes)


@dataclass
class Contents:
    """What lies where; `outbox` by place."""

    unacknowledged: Waiting = field(default_factory=Waiting)
    outbox: dict[str, Waiting] = field(default_factory=dict)
    dead_letter: Waiting = field(default_factory=Waiting)
    quarantine: Waiting = field(default_factory=Waiting)

    def place(self, name: str) -> Waiting:
        """A folder of the outbox."""
        return self.outbox.setdefault(name, Waiting())

    def picture_bytes(self) -> int:
        """What SPOOL_MAX_BYTES limits: every picture that is here, refused and damaged ones too."""
        rest = (self.unacknowledged, self.dead_letter, self.quarantine)
        return sum(waiting.bytes for waiting in (*self.outbox.values(), *rest))

    def copy(self) -> "Contents":
        """As it is now."""
        outbox = {name: waiting.copy() for name, waiting in self.outbox.items()}
        return Contents(self.unacknowledged.copy(), outbox, self.dead_letter.copy(), self.quarantine.copy())


def count(folders: Folders) -> Contents:
    """From the folders; works beside a running uploader. Blocking: a `stat` for each file."""

    def of(folder: Path) -> Waiting:
        waiting = Waiting()
        for entry in outcome_files(folder):
            try:
                waiting.count(entry.name, entry.stat().st_size)
            except FileNotFoundError:
                continue
        return waiting

    return Contents(
        of(folders.unacknowledged),
        {place.name: of(place) for place in folders.places()},
        of(folders.dead_letter),
        of(folders.quarantine),
    )
