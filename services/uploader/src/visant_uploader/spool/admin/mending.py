"""What a technician may do to the spool, also while the uploader runs: files are only put into `incoming/`,
each by one rename, and the uploader collects them there. Blocking.
"""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from visant_uploader.spool.admin.listing import ListedFile, strays
from visant_uploader.spool.file_format import CorruptFile, Outcome, SpoolHeader, decode, encode
from visant_uploader.spool.layout import Destination, Folders
from visant_uploader.spool.writing import move_durably, write_durably


class CannotBeDone(Exception):
    """It cannot be done; the text says why and what to do, in one line."""


@dataclass(frozen=True)
class Here:
    """Whom outcomes are for that `--here` addresses anew."""

    cloud_id: str
    plain: bool
    api_url: str
    device_id: str

    def address(self, header: SpoolHeader) -> SpoolHeader:
        """The same outcome, for this cloud and device."""
        return header.model_copy(
            update={
                "cloud_id": self.cloud_id,
                "plain": self.plain,
                "api_url": self.api_url,
                "device_id": self.device_id,
            }
        )


def requeue(folders: Folders, file: ListedFile, here: Here | None) -> None:
    """Puts a refused, held or damaged file back on its way. Raises CannotBeDone, OSError."""
    if file.state in ("waiting", "unacknowledged", "incoming"):
        raise CannotBeDone(f"{file.key[:12]} is {file.state}: it is on its way already")
    outcome = _whole(file.path)
    wanted = outcome.header if here is None else here.address(outcome.header)
    if file.state == "held" and _destination(wanted) == _destination(outcome.header):
        raise CannotBeDone(f"{file.key[:12]} is held for another cloud or device: add --here to send it to this one")
    if wanted == outcome.header:
        move_durably(file.path, folders.incoming / file.path.name)
        return
    _write(folders, wanted, bytes(outcome.body))
    file.path.unlink(missing_ok=True)


def export(folders: Folders, files: Iterable[ListedFile], target: Path, *, jpeg: bool) -> tuple[int, int]:
    """Copies files into `target`: as they are, for `import`, or as pictures for people with --jpeg.

    Returns (copied, skipped as damaged or gone meanwhile). Raises CannotBeDone, OSError.
    """
    if target.resolve().is_relative_to(folders.root.resolve()):
        raise CannotBeDone(f"{target} lies in the spool itself: name a folder elsewhere, e.g. on a stick")
    target.mkdir(parents=True, exist_ok=True)
    copied = skipped = 0
    for one in files:
        try:
            if jpeg:
                done = _export_jpeg(one.path, target)
            else:
                shutil.copyfile(one.path, target / one.path.name)
                done = True
        except (CorruptFile, FileNotFoundError):
            skipped += 1
            continue
        copied += done
    return copied, skipped


def import_from(folders: Folders, source: Path, device_id: str, here: Here | None, room: int) -> tuple[int, list[str]]:
    """Copies the outcomes of another spool or an export into this one, as long as pictures of `room` bytes fit.

    Returns (copied, a line for each refused). Raises OSError.
    """
    copied, refused = 0, []

    def unreadable(error: OSError) -> None:
        refused.append(f"{error.filename}: {error.strerror}: run this as a user who may read it")

    for path in strays(source, unreadable):
        try:
            outcome = decode(path.read_bytes())
        except CorruptFile as corrupt:
            trigger = "" if corrupt.header is None else f", of trigger {corrupt.header.trigger_id}"
            refused.append(f"{path.name}: damaged ({corrupt.reason}){trigger}")
            continue
        except OSError as error:
            refused.append(f"{path.name}: {error.strerror}")
            continue
        header = outcome.header if here is None else here.address(outcome.header)
        if header.device_id != device_id:
            refused.append(f"{path.name}: of device {header.device_id}, this is {device_id}: add --here to adopt it")
            continue
        room -= len(outcome.body)
        if room < 0:
            refused.append(f"{path.name} and what follows: no room; wait until some are delivered, then import again")
            break
        _write(folders, header, bytes(outcome.body))
        copied += 1
    return copied, refused


def _write(folders: Folders, header: SpoolHeader, body: bytes) -> None:
    """Drafts lie beside their target under a name that is no outcome's."""
    sealed, pieces = encode(header, body)
    draft = folders.incoming / f".{sealed.file_name()}.{os.getpid()}"
    if os.geteuid() == 0:  # the uploader runs as another user, and must be able to read and to move it
        owner = folders.incoming.stat()
        draft.touch()
        os.chown(draft, owner.st_uid, owner.st_gid)
    write_durably(pieces, draft, folders.incoming / sealed.file_name())


def _export_jpeg(path: Path, target: Path) -> bool:
    outcome = decode(path.read_bytes())
    header = outcome.header
    stem = f"{header.time.wall:%Y%m%dT%H%M%SZ}_{header.key()[:12]}"
    (target / f"{stem}.json").write_text(json.dumps(header.model_dump(mode="json", exclude_none=True), indent=2))
    if header.kind == "picture":
        (target / f"{stem}.jpg").write_bytes(outcome.body)
    return header.kind == "picture"


def _whole(path: Path) -> Outcome:
    try:
        return decode(path.read_bytes())
    except CorruptFile as corrupt:
        raise CannotBeDone(f"{path.name[:12]} is damaged ({corrupt.reason}): it cannot be sent") from None


def _destination(header: SpoolHeader) -> Destination:
    return Destination(header.cloud_id, header.device_id)
