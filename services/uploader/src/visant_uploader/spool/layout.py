"""The spool's folders: where an outcome lies says how far it has come.

draft/             being written; whatever is here at the start is swept away
unacknowledged/    durable, its command still in the queue
outbox/<place>/    may be delivered; one place for each cloud and device id
incoming/          put back by a technician, collected into its outbox by the running uploader
dead-letter/       pictures that the cloud refused for good
quarantine/        files that the card damaged
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from visant_runtime.durable import sync_folder

PICTURE, REPORT = ".picture", ".report"
UNREADABLE = ".unreadable"
"""Added to the name of a file whose header is lost: it counts as no outcome, so that its command may run again."""


@dataclass(frozen=True)
class Destination:
    """Whom an outcome is for. Another cloud's outcomes, or another device's, are held."""

    cloud_id: str
    device_id: str

    @property
    def place(self) -> str:
        """The folder's name: 16 hex digits."""
        return hashlib.sha256(f"{self.cloud_id}\0{self.device_id}".encode()).hexdigest()[:16]


class Folders:
    """The paths under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.draft = root / "draft"
        self.unacknowledged = root / "unacknowledged"
        self.outbox = root / "outbox"
        self.incoming = root / "incoming"
        self.dead_letter = root / "dead-letter"
        self.quarantine = root / "quarantine"

    def all_fixed(self) -> tuple[Path, ...]:
        """Those that always exist."""
        return (self.draft, self.unacknowledged, self.outbox, self.incoming, self.dead_letter, self.quarantine)

    def places(self) -> list[Path]:
        """The folders in the outbox."""
        with os.scandir(self.outbox) as found:
            return sorted(Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False))

    def place(self, destination: Destination) -> Path:
        """The outbox folder of this destination, made durably where it is new."""
        path = self.outbox / destination.place
        if not path.is_dir():
            path.mkdir(exist_ok=True)
            sync_folder(self.outbox)
        return path

    def make(self) -> None:
        """Makes what is missing, durably."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in self.all_fixed():
            folder.mkdir(exist_ok=True)
        sync_folder(self.root)


def outcome_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The outcome files in a folder, in no order, without holding them all."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith((PICTURE, REPORT, UNREADABLE)) and entry.is_file(follow_symlinks=False):
                yield entry
