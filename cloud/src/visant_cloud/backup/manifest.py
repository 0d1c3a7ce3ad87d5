"""What a backup says of itself, and whether it is whole.

A backup is a folder: `manifest.json`, `cloud.db` (an SQLite file, whatever the cloud's database is) and `pictures/`
with the names that they have in the cloud. The manifest holds the hash of the rows, and the rows that of each picture.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_runtime import durable

FORMAT = 1
NAME = "manifest.json"
ROWS = "cloud.db"
PICTURES = "pictures"
_CHUNK = 1 << 20


class BackupError(Exception):
    """One line for the person at the terminal, with the remedy."""


class Manifest(BaseModel):
    """Written last: a folder without one was never finished."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    made_at: AwareDatetime
    """The rows and pictures are those of this moment or a little later."""
    release: str
    schema_revision: str
    clouds: dict[str, str]
    """organisation_id -> the id by which its devices know this cloud."""
    rows_bytes: int
    rows_sha256: str
    rows: dict[str, int]
    """Table -> how many."""
    pictures: Literal["copied", "left"]
    """left: they stay where `pictures_at` says, and are not in the backup."""
    pictures_at: str
    """Where the cloud had them."""
    picture_count: int
    picture_bytes: int
    damaged: dict[str, str] = {}
    """record_id -> SHA-256 of a copied picture that was not what its row says when the backup was made."""

    @property
    def cloud_id(self) -> str:
        """Of the default organisation, which every cloud has."""
        return self.clouds[DEFAULT_ORGANISATION]


def write(backup: Path, manifest: Manifest) -> None:
    """Durable when it returns. Raises OSError."""
    text = manifest.model_dump_json(indent=2) + "\n"
    durable.write(backup / NAME, [text.encode()], mode=0o600)


def read(backup: Path, newest_schema: str) -> Manifest:
    """Raises BackupError where it is no whole backup that this release can read."""
    if not backup.is_dir():
        raise BackupError(f"{backup}: there is no such folder")
    try:
        text = (backup / NAME).read_bytes()
    except FileNotFoundError:
        raise BackupError(_no_manifest(backup)) from None
    except OSError as error:
        raise BackupError(f"{backup / NAME} cannot be read ({error.strerror})") from None
    try:
        stated = _Stated.model_validate_json(text)
        if stated.format > FORMAT:
            raise BackupError(
                f"{backup}: format {stated.format}, made by release {stated.release[:40]}; this release reads {FORMAT}:"
                " restore with that one or a newer one"
            )
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BackupError(f"{backup / NAME} is damaged ({_first(error)}): take another backup") from None
    if DEFAULT_ORGANISATION not in found.clouds:
        raise BackupError(f"{backup / NAME} is damaged (it names no cloud): take another backup")
    if found.schema_revision > newest_schema:
        raise BackupError(
            f"{backup}: its schema {found.schema_revision} is newer than this release's {newest_schema}: "
            f"restore with release {found.release[:40]} or a newer one"
        )
    return found


class _Stated(BaseModel):
    """What every format has."""

    format: int
    release: str = "unknown"


def _first(error: ValidationError) -> str:
    one = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ")[:120]


def _no_manifest(backup: Path) -> str:
    inside = whole(backup)
    if inside:
        return f"{backup} holds {len(inside)} backups: name one of them, the newest is {inside[-1]}"
    if (backup / ROWS).exists() or backup.name.startswith("."):
        return f"{backup} was never finished (it has no {NAME}): take another backup"
    return f"{backup} is no backup: it has no {NAME}"


def whole(folder: Path) -> list[Path]:
    """The finished backups in a folder, the oldest first. Their names sort by time."""
    try:
        return sorted(one for one in folder.iterdir() if not one.name.startswith(".") and (one / NAME).is_file())
    except OSError:
        return []


def name_at(moment: datetime) -> str:
    """What a backup of this moment (UTC) is called; no colon, which some file systems refuse."""
    return f"{moment:%Y-%m-%dT%H-%M-%SZ}"


def sha256_of(path: Path, beat: Callable[[], None]) -> str:
    """Raises OSError."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
            beat()
    return found.hexdigest()
