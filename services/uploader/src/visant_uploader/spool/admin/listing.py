"""Outcome files, wherever they lie, as a technician sees them. Reads beside a running uploader. Blocking."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from visant_uploader.spool.file_format import SpoolHeader, read_header
from visant_uploader.spool.layout import PICTURE, REPORT, UNREADABLE, Folders, outcome_files


@dataclass(frozen=True)
class ListedFile:
    """One file. `state`: waiting, held, unacknowledged, incoming, dead-letter or quarantine."""

    path: Path
    state: str
    bytes: int
    written: datetime
    header: SpoolHeader | None

    @property
    def key(self) -> str:
        """64 hex digits: the start of the file's name."""
        return self.path.name.split(".", 1)[0]

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        header = None if self.header is None else self.header.model_dump(mode="json", exclude_none=True)
        return {
            "key": self.key,
            "state": self.state,
            "file": str(self.path),
            "bytes": self.bytes,
            "written": self.written.isoformat(),
            "header": header,
        }


def listing(folders: Folders, own_place: str | None) -> Iterator[ListedFile]:
    """All outcome files, folder by folder. `own_place`: the outbox folder of the cloud in force."""
    yield from _in(folders.unacknowledged, "unacknowledged")
    for place in folders.places():
        yield from _in(place, "waiting" if place.name == own_place else "held")
    yield from _in(folders.incoming, "incoming")
    yield from _in(folders.dead_letter, "dead-letter")
    yield from _in(folders.quarantine, "quarantine")


def strays(root: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    """Outcome files anywhere below `root`: another spool, or an export. Hears of each folder that cannot be read."""
    for folder, _, names in os.walk(root, onerror=unreadable):
        if Path(folder).name != "draft":
            yield from (Path(folder) / name for name in sorted(names) if name.endswith((PICTURE, REPORT)))


def _in(folder: Path, state: str) -> Iterator[ListedFile]:
    for entry in sorted(outcome_files(folder), key=lambda entry: entry.name):
        try:
            found = entry.stat()
        except FileNotFoundError:
            continue  # delivered while we looked
        path = Path(entry.path)
        header = None if entry.name.endswith(UNREADABLE) else read_header(path)
        yield ListedFile(path, state, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), header)
