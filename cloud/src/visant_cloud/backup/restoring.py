"""Puts a backup back into a cloud that does not run. Everything is looked at before anything is changed.

Pictures first, rows last and at once, as everywhere: what is cut short in between leaves the cloud that was there, and
pictures without a record at worst, which it sets aside by itself.
"""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
from sqlalchemy import select

from visant_cloud.backup import manifest, rows
from visant_cloud.backup.making import pictures_at
from visant_cloud.backup.manifest import PICTURES, ROWS, BackupError, Manifest
from visant_cloud.backup.rows import Beat, Rows, StoredPicture
from visant_cloud.captures.at_start import prepare_storage, storage_of
from visant_cloud.captures.picture import Picture
from visant_cloud.captures.storage import PictureStorage
from visant_cloud.database import connection_url
from visant_cloud.database.engine import Database
from visant_cloud.settings import CloudSettings
from visant_cloud.store import schema, tables
from visant_runtime import durable
from visant_runtime.kill_point import kill_point

_MARGIN = 16 << 20
"""Bytes that are left free beside what is put back."""
_SOMETHING = (tables.devices, tables.triggers, tables.captures, tables.operators, tables.api_tokens)
"""A cloud without any of these may be overwritten without a question."""


async def check(backup: Path, beat: Beat) -> Manifest:
    """Reads all of it. Raises BackupError where something is missing or not what it was."""
    found = manifest.read(backup, schema.HEAD)
    _check_rows(backup, found, beat)
    if found.pictures == "copied":
        for one in Rows(backup / ROWS).captures():
            _read_picture(backup, found, one)
            beat()
    return found


async def restore(chosen: CloudSettings, backup: Path, replace: str | None, beat: Beat) -> Manifest:
    """The cloud of `chosen` is that of the backup afterwards.

    `replace`: the cloud_id of the cloud that is there and is to go. Raises BackupError where something speaks against
    it, before anything is changed; OSError, StorageAway or a database's error where it fails later.
    """
    found = manifest.read(backup, schema.HEAD)
    _must_have_its_pictures(chosen, found)
    _check_rows(backup, found, beat)
    url = chosen.engine_url()
    await _nobody_there(url)
    target = Database(url)
    try:
        await _must_be_empty(target, replace)
        async with _present(backup, found, target) as file:
            if found.pictures == "copied":
                await _put_pictures(chosen, backup, found, beat)
                kill_point("restore_pictures")
            if target.sqlite:
                await target.close()
                _take_place(file, _file_of(target))
            else:
                await rows.copy_in(Rows(file), target, beat)
    finally:
        await target.close()
    return found


def _check_rows(backup: Path, found: Manifest, beat: Beat) -> None:
    file = backup / ROWS
    try:
        digest = manifest.sha256_of(file, beat)
    except OSError as error:
        raise BackupError(f"{file} cannot be read ({error.strerror}): take another backup") from None
    if digest != found.rows_sha256:
        raise BackupError(f"{file} is not what was backed up (its SHA-256 differs): take another backup")


def _read_picture(backup: Path, found: Manifest, one: StoredPicture) -> bytes:
    path = backup / PICTURES / one.name.picture
    try:
        jpeg = path.read_bytes()
    except OSError as error:
        raise BackupError(f"{path} cannot be read ({error.strerror}): take another backup") from None
    if sha256(jpeg).hexdigest() != found.damaged.get(one.record_id, one.sha256):
        raise BackupError(f"{path} is not what was backed up (its SHA-256 differs): take another backup")
    return jpeg


def _must_have_its_pictures(chosen: CloudSettings, found: Manifest) -> None:
    here = pictures_at(chosen)
    if found.pictures == "left" and here != found.pictures_at:
        raise BackupError(
            f"this backup left its pictures in {found.pictures_at}, and the settings name {here}: "
            + (f"set STORAGE_URL={found.pictures_at}" if found.pictures_at.startswith("s3:") else "unset STORAGE_URL")
        )


async def _nobody_there(url: str) -> None:
    """A cloud that runs keeps its cloud_id and open streams in memory: it must be stopped first."""
    if url.startswith("postgresql"):
        if connection_url.pooled(url):  # the pooler's connections say nothing
            return
        connection = await asyncpg.connect(**connection_url.connect_args(url))
        try:
            others = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND usename = current_user AND backend_type = 'client backend'"
            )
        finally:
            await connection.close()
        if others:
            raise BackupError(f"{others} other connections to the database are open: stop the cloud first")
        return
    _alone_with(Path(url.partition(":///")[2]))


def _alone_with(file: Path) -> None:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        return
    with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as connection:
        try:  # only who is alone may leave the log, www.sqlite.org/wal.html
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise BackupError(f"{file} is in use ({error}): stop the cloud first") from None


async def _must_be_empty(target: Database, replace: str | None) -> None:
    cloud_id = await schema.migrate(target)
    async with target.reading() as connection:
        filled = [table.name for table in _SOMETHING if (await connection.execute(select(table).limit(1))).first()]
    if replace is not None and replace != cloud_id:
        raise BackupError(f"--replace {replace[:40]}: the cloud that is there is {cloud_id}")
    if filled and replace is None:
        raise BackupError(
            f"there is a cloud already, {cloud_id} (with {', '.join(filled)}): `--replace {cloud_id}` deletes its rows"
        )


@asynccontextmanager
async def _present(backup: Path, found: Manifest, target: Database) -> AsyncIterator[Path]:
    """The backup's rows with the present schema: beside the SQLite file that they are to become, or apart."""
    if not target.sqlite and found.schema_revision == schema.HEAD:
        yield backup / ROWS
        return
    place = _file_of(target).parent if target.sqlite else None
    with TemporaryDirectory(prefix=".restoring-", dir=place) as folder:
        file = Path(folder) / ROWS
        _must_fit(2 * found.rows_bytes, shutil.disk_usage(folder).free, folder, "" if target.sqlite else "TMPDIR")
        shutil.copyfile(backup / ROWS, file)
        copy = Database(f"sqlite+aiosqlite:///{file}")
        try:
            await schema.migrate(copy)
        finally:
            await copy.close()
        rows.settle(file)
        yield file


def _must_fit(needed: int, free: int | None, where: str, setting: str) -> None:
    if free is not None and needed + _MARGIN > free:
        remedy = f"name another folder by {setting}" if setting else "make room there"
        raise BackupError(f"{needed / 1e6:.0f} MB are needed in {where}, {free / 1e6:.0f} MB are free: {remedy}")


def _file_of(target: Database) -> Path:
    return Path(target.engine.url.database or "")


async def _put_pictures(chosen: CloudSettings, backup: Path, found: Manifest, beat: Beat) -> None:
    """Those that lie there already, whole, stay. Every picture is looked at before the first is written."""
    stored = Rows(backup / ROWS)
    storage = storage_of(chosen, found.cloud_id)
    await prepare_storage(chosen, storage)
    missing = []
    for one in stored.captures():
        _read_picture(backup, found, one)
        if not await _is_there(storage, found, one):
            missing.append(one)
        beat()
    _must_fit(sum(one.bytes for one in missing), storage.free_bytes(), "the picture storage", "")
    for one in missing:
        jpeg = _read_picture(backup, found, one)
        thumbnail = _thumbnail(backup / PICTURES / one.name.thumbnail)
        await storage.store(Picture(jpeg, one.width, one.height, one.sha256, thumbnail), one.name)
        beat()


def _thumbnail(path: Path) -> bytes:
    """Empty where there is none: pages then show the picture's place without it."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def _is_there(storage: PictureStorage, found: Manifest, one: StoredPicture) -> bool:
    download = await storage.open(one.name.picture)
    if download is None or download.size != one.bytes:
        return False
    digest = sha256()
    async for chunk in download.chunks:
        digest.update(chunk)
    return digest.hexdigest() == found.damaged.get(one.record_id, one.sha256)


def _take_place(file: Path, target: Path) -> None:
    """The new file where the old one was, in one step; a log of the old one beside it would be the end of the new."""
    rows.settle(target)
    _like_its_folder(file, target.parent)
    rows.sync(file)
    kill_point("restore_rows")
    file.replace(target)
    durable.sync_folder(target.parent)


def _like_its_folder(file: Path, folder: Path) -> None:
    """Whoever restores as root restores for the cloud's user."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(file, owner.st_uid, owner.st_gid)
