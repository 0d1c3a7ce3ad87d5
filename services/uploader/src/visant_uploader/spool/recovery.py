"""Ends what a crash left half done, and collects what a technician put back. Blocking; the lock is held.

Each function can be cut short and called again.
"""

from itertools import islice
from pathlib import Path
from typing import NamedTuple

from visant_contract.outcome import Reason
from visant_uploader.spool.file_format import CorruptFile, decode, read_header
from visant_uploader.spool.layout import PICTURE, REPORT, UNREADABLE, Destination, Folders, outcome_files
from visant_uploader.spool.writing import move_durably

AT_ONCE = 200
"""Files put back that one call collects: each is read whole, and an import may bring thousands."""


class Recovered(NamedTuple):
    """The outcomes that were found, by name, and how many files were damaged and set aside."""

    outcomes: list[tuple[Destination, str]]
    damaged: int


def sweep_drafts(folders: Folders) -> None:
    """Drafts were never outcomes."""
    for draft in list(folders.draft.iterdir()):
        draft.unlink()
    for draft in list(folders.incoming.glob(".*")):
        draft.unlink()


def settle_pairs(folders: Folders) -> None:
    """A picture beside a report of its own trigger: the crash came between the report and the picture's move."""
    for place in folders.places():
        for name in [entry.name for entry in outcome_files(place) if entry.name.endswith(REPORT)]:
            picture = place / (name.removesuffix(REPORT) + PICTURE)
            if not picture.exists():
                continue
            header = read_header(place / name)
            damaged = header is not None and header.report is not None and header.report.reason == Reason.SPOOL_CORRUPT
            move_durably(picture, (folders.quarantine if damaged else folders.dead_letter) / picture.name)


def sort_unreleased(folders: Folders) -> Recovered:
    """Whom the unacknowledged outcomes are for. One without a readable header counts as none: its command, if it
    is still in the queue, is executed again.
    """
    found, damaged = [], 0
    for entry in list(outcome_files(folders.unacknowledged)):
        header = read_header(Path(entry.path))
        if header is None or header.file_name() != entry.name:
            move_durably(Path(entry.path), folders.quarantine / (entry.name + UNREADABLE))
            damaged += 1
        else:
            found.append((Destination(header.cloud_id, header.device_id), entry.name))
    return Recovered(found, damaged)


def collect_incoming(folders: Folders) -> Recovered:
    """Into the outboxes, AT_ONCE. A picture replaces the report that said why there was none.

    Raises PermissionError for files of another user, after all others were collected.
    """
    collected, damaged = [], 0
    foreign: PermissionError | None = None
    for entry in list(islice(outcome_files(folders.incoming), AT_ONCE)):
        path = Path(entry.path)
        try:
            header = decode(path.read_bytes()).header
        except FileNotFoundError:
            continue
        except PermissionError as error:
            foreign = error
            continue
        except CorruptFile:
            move_durably(path, folders.quarantine / entry.name)
            damaged += 1
            continue
        destination = Destination(header.cloud_id, header.device_id)
        place = folders.place(destination)
        if header.kind == "picture":
            (place / (header.key() + REPORT)).unlink(missing_ok=True)
        elif (place / (header.key() + PICTURE)).exists():
            path.unlink()  # a picture is the better outcome
            continue
        move_durably(path, place / header.file_name())
        collected.append((destination, header.file_name()))
    if foreign is not None and not collected and not damaged:
        raise foreign
    return Recovered(collected, damaged)
