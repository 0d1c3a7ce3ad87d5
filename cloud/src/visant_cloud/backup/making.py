"""Makes a backup beside a running cloud: rows of one moment, then the pictures that they name.

Rows first: a picture lies in the storage before its row is there, so every row that was read has its picture. Only
retention may take one away meanwhile; its row then goes from the backup as well.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

import structlog

from visant_cloud.backup import manifest, rows
from visant_cloud.backup.manifest import PICTURES, ROWS, BackupError, Manifest
from visant_cloud.backup.rows import Beat, Rows, StoredPicture
from visant_cloud.captures.at_start import storage_of
from visant_cloud.captures.storage import PictureStorage
from visant_cloud.database.engine import Database
from visant_cloud.settings import CloudSettings
from visant_cloud.store import schema
from visant_runtime import durable
from visant_runtime.kill_point import kill_point
from visant_runtime.version import release_version

log = structlog.get_logger()

PicturesIn = Literal["copy", "leave"]
_DRAFT = ".making"
_GOING = ".going-"
_LOCK = ".lock"
_MARGIN = 16 << 20
"""Bytes that are left free beside what is copied."""


@dataclass
class _Copied:
    """What became of the pictures. Sizes in bytes."""

    count: int = 0
    bytes: int = 0
    linked: int = 0
    gone: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)


def pictures_at(chosen: CloudSettings) -> str:
    """Where the cloud's pictures lie, as a manifest says it; no secret."""
    return "the folder pictures of DATA_DIR" if chosen.storage_url is None else str(chosen.storage_url)


def must_be_there(url: str) -> None:
    """SQLite would make a file that is missing. Raises BackupError."""
    file = Path(url.partition(":///")[2])
    if url.startswith("sqlite") and not file.exists():
        raise BackupError(f"there is no database at {file}: check DATA_DIR, DATABASE_URL")


async def make(
    chosen: CloudSettings, database: Database, folder: Path, pictures: PicturesIn, keep: int | None, beat: Beat
) -> Path:
    """A new backup in `folder`; afterwards the newest `keep` backups of this cloud are left. Returns where it is.

    Raises BackupError, or OSError where the disk is full, and leaves nothing half made; after a kill -9 the next one
    tidies up.
    """
    now = datetime.now(UTC)
    with _alone(folder) as draft:
        await rows.copy_out(database, draft / ROWS, beat)
        kill_point("backup_rows")
        found = Rows(draft / ROWS)
        clouds = found.clouds()
        copied = _Copied()
        if pictures == "copy":
            storage = storage_of(chosen, next(iter(clouds.values())))
            before = manifest.whole(folder)
            copied = await _copy_pictures(storage, found, draft, before[-1] if before else None, beat)
            kill_point("backup_pictures")
            if copied.gone:
                await rows.forget_captures(draft / ROWS, copied.gone)
        _write_manifest(draft, chosen, now, pictures, copied, beat)
        target = _free_name(folder, now)
        draft.rename(target)
        durable.sync_folder(folder)
        kill_point("backup_made")
        if keep is not None:
            _rotate(folder, keep, clouds, target)
    return target


def _write_manifest(
    draft: Path, chosen: CloudSettings, now: datetime, pictures: PicturesIn, copied: _Copied, beat: Beat
) -> None:
    file = draft / ROWS
    rows.sync(file)
    found = Rows(file)
    manifest.write(
        draft,
        Manifest(
            format=manifest.FORMAT,
            made_at=now,
            release=release_version("visant-cloud"),
            schema_revision=schema.HEAD,
            clouds=found.clouds(),
            rows_bytes=file.stat().st_size,
            rows_sha256=manifest.sha256_of(file, beat),
            rows=found.counts(),
            pictures="copied" if pictures == "copy" else "left",
            pictures_at=pictures_at(chosen),
            picture_count=copied.count,
            picture_bytes=copied.bytes,
            damaged=copied.damaged,
        ),
    )


async def _copy_pictures(storage: PictureStorage, found: Rows, draft: Path, before: Path | None, beat: Beat) -> _Copied:
    earlier = before / PICTURES if before is not None and (before / PICTURES).is_dir() else None
    _must_fit(found, earlier, draft)
    copied = _Copied()
    target, folders = draft / PICTURES, set[Path]()
    target.mkdir()
    for picture in found.captures():
        beat()
        path = target / picture.name.picture
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        if earlier is not None and _linked(earlier / picture.name.picture, path, picture.bytes):
            copied.linked += 1
            _linked(earlier / picture.name.thumbnail, target / picture.name.thumbnail, None)
        elif not await _copied(storage, picture, target, copied):
            copied.gone.append(picture.record_id)
            continue
        copied.count += 1
        copied.bytes += picture.bytes
    for path in sorted(folders | {one.parent for one in folders} | {target}):
        durable.sync_folder(path)
    if copied.gone:
        log.warning("records without a picture left out", count=len(copied.gone), one=copied.gone[0])
    if copied.damaged:
        one = next(iter(copied.damaged))
        log.warning("pictures copied that are not as they were stored", count=len(copied.damaged), one=one)
    return copied


def _must_fit(found: Rows, earlier: Path | None, draft: Path) -> None:
    needed = sum(one.bytes for one in found.captures() if earlier is None or not (earlier / one.name.picture).exists())
    free = shutil.disk_usage(draft).free
    if needed + _MARGIN > free:
        raise BackupError(
            f"{draft.parent}: the pictures need {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free: make room there"
        )


def _linked(earlier: Path, path: Path, size: int | None) -> bool:
    """Pictures never change: one that an earlier backup holds costs nothing. False where it must be copied."""
    try:
        if size is not None and earlier.stat().st_size != size:
            return False
        os.link(earlier, path)
    except OSError:  # not there, or a file system without links
        return False
    return True


async def _copied(storage: PictureStorage, one: StoredPicture, target: Path, copied: _Copied) -> bool:
    found = await _fetch(storage, one.name.picture, target / one.name.picture)
    if found is None:
        return False
    if found != one.sha256:
        copied.damaged[one.record_id] = found
    await _fetch(storage, one.name.thumbnail, target / one.name.thumbnail)
    return True


async def _fetch(storage: PictureStorage, source: str, path: Path) -> str | None:
    """The SHA-256 of what is synced in `path` now; None: it is not there any more. Raises StorageAway, OSError."""
    download = await storage.open(source)
    if download is None:
        return None
    found = sha256()
    with open(path, "wb") as file:  # noqa: ASYNC230 - this process does nothing else
        async for chunk in download.chunks:
            file.write(chunk)
            found.update(chunk)
        file.flush()
        os.fsync(file.fileno())
    return found.hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """An empty draft in the folder, which nobody else makes a backup in; gone afterwards where it is still there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = open(folder / _LOCK, "w")  # noqa: SIM115 - held to the end
    except OSError as error:
        raise BackupError(
            f"{folder} cannot be written ({error.strerror}): name a folder that user {os.geteuid()} may write"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup is being made in {folder}: wait for it") from None
        for left in folder.iterdir():
            if left.name.startswith((_DRAFT, _GOING)):
                shutil.rmtree(left)
        draft = folder / _DRAFT
        draft.mkdir(mode=0o700)
        try:
            yield draft
        finally:
            with suppress(FileNotFoundError):
                shutil.rmtree(draft)


def _free_name(folder: Path, now: datetime) -> Path:
    plain = manifest.name_at(now)
    names = [plain, *(f"{plain}-{number}" for number in range(2, 100))]
    return next(folder / name for name in names if not (folder / name).exists())


def _rotate(folder: Path, keep: int, clouds: dict[str, str], newest: Path) -> None:
    """Removes this cloud's oldest. Each is first renamed, so that one half removed is never taken for a backup."""
    ours = []
    for one in manifest.whole(folder):
        with suppress(BackupError):
            if manifest.read(one, schema.HEAD).clouds.items() & clouds.items():
                ours.append(one)
    for one in ours[:-keep]:
        if one == newest:
            continue
        going = folder / f"{_GOING}{one.name}"
        one.rename(going)
        shutil.rmtree(going)
        log.info("old backup removed", backup=one.name)


def age_of_newest(folder: Path) -> float | None:
    """Seconds since the newest backup in the folder was made; None: there is none."""
    for one in reversed(manifest.whole(folder)):
        with suppress(BackupError):
            return (datetime.now(UTC) - manifest.read(one, schema.HEAD).made_at).total_seconds()
    return None
