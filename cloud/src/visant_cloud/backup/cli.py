"""`visant-cloud backup` and `visant-cloud restore`, which work beside a running cloud and instead of one."""

import argparse
import asyncio
import errno
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from visant_cloud.backup import making, restoring
from visant_cloud.backup.manifest import BackupError, Manifest
from visant_cloud.backup.rows import Beat
from visant_cloud.captures.storage import StorageAway
from visant_cloud.database import pooler
from visant_cloud.database.engine import DATABASE_ERRORS, Database, first_line
from visant_cloud.settings import CloudSettings
from visant_runtime import lifecycle, logs, settings
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop

log = structlog.get_logger()

_SAID = (BackupError, settings.SettingsError)
_OF_A_DATABASE = (*DATABASE_ERRORS, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
_FAILS = (*_SAID, StorageAway, *_OF_A_DATABASE)
_OF_A_DISK = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOENT, errno.ENOTDIR, errno.EXDEV, errno.EMLINK, errno.ENAMETOOLONG),
}
"""What the rest of an OSError is not: a database that cannot be reached."""
_LOOK = 10.0
"""Seconds between two looks whether the next backup is due."""
_AGAIN = 600.0
"""Seconds until one that failed is tried again."""
_STANDSTILL = 900.0
"""Seconds without any progress after which the process counts as hung; one step may be a large table."""
LOOP = "backup"


def backup(arguments: Sequence[str]) -> int:
    """Makes one backup, or (`--every`) one after the other until it is told to stop. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="visant-cloud backup")
    parser.add_argument("folder", type=Path, help="where backups lie, each in a folder of its own")
    parser.add_argument("--keep", type=_positive, metavar="N", help="remove this cloud's backups but the newest N")
    parser.add_argument("--every", type=_hours, metavar="HOURS", help="go on, with one every so many hours")
    parser.add_argument(
        "--pictures",
        choices=("copy", "leave"),
        help="copy them as well, or leave them where they are (default: copy from a folder, leave in a bucket)",
    )
    try:
        given = parser.parse_args(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    chosen = settings.load(CloudSettings)
    os.umask(0o077)  # hashes of tokens and passwords, and everybody's pictures
    os.nice(10)  # the cloud goes first
    if given.every is not None:
        _log(chosen)
        heartbeat = start_heartbeat("cloud")
        return lifecycle.run(lambda stop: _again_and_again(chosen, given, heartbeat, stop))
    _log_apart(chosen)
    return _told(partial(_one_at_a_terminal, chosen, given))


def restore(arguments: Sequence[str]) -> int:
    """Puts a backup back, or reads all of it (`--check`). Returns the exit status."""
    parser = argparse.ArgumentParser(prog="visant-cloud restore")
    parser.add_argument("backup", type=Path, help="the folder of one backup")
    parser.add_argument("--replace", metavar="CLOUD_ID", help="delete the rows of this cloud, which is there")
    parser.add_argument("--check", action="store_true", help="only read all of the backup; no cloud is needed")
    try:
        given = parser.parse_args(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    chosen = settings.load(CloudSettings)
    _log_apart(chosen)
    return _told(partial(_check, given) if given.check else partial(_restore, chosen, given))


def _log_apart(chosen: CloudSettings) -> None:
    """On standard error: standard output is what a script takes on."""
    with redirect_stdout(sys.stderr):
        _log(chosen)


def _log(chosen: CloudSettings) -> None:
    logs.configure(format=chosen.log_format, level=chosen.log_level, secrets=chosen.secrets())
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _told(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    try:
        asyncio.run(work())
    except _FAILS as error:
        print(f"[ERROR] {_line(error)}", file=sys.stderr)
        return 1
    return 0


def _line(error: Exception) -> str:
    if isinstance(error, _SAID):
        return str(error)
    if isinstance(error, StorageAway):
        return f"the picture storage fails: {error}"
    if isinstance(error, OSError) and error.errno in _OF_A_DISK:
        where = f" at {error.filename}" if error.filename else ""
        return f"the disk fails{where} ({error.strerror}): make room there, or name another folder"
    return f"the database cannot be used ({first_line(error)[:300]}): check DATABASE_URL, DATA_DIR"


async def _one_at_a_terminal(chosen: CloudSettings, given: argparse.Namespace) -> None:
    print(await _one(chosen, given, _nobody))


async def _one(chosen: CloudSettings, given: argparse.Namespace, beat: Beat) -> Path:
    url = chosen.engine_url()
    making.must_be_there(url)
    pictures: making.PicturesIn = given.pictures or ("copy" if chosen.storage_url is None else "leave")
    database = Database(await pooler.settled(url))
    try:
        return await making.make(chosen, database, given.folder, pictures, given.keep, beat)
    finally:
        await database.close()


async def _again_and_again(chosen: CloudSettings, given: argparse.Namespace, heartbeat: Heartbeat, stop: Stop) -> None:
    heartbeat.expect(LOOP, _STANDSTILL)
    beat = partial(heartbeat.beat, LOOP)
    loop = asyncio.get_running_loop()
    not_before = 0.0
    while not stop.is_set():
        beat()
        age = making.age_of_newest(given.folder)
        if loop.time() >= not_before and (age is None or age < 0 or age >= given.every * 3600):
            try:
                made = await _one(chosen, given, beat)
            except _FAILS as error:
                log.error("no backup was made", reason=_line(error), again_in_seconds=_AGAIN)
                heartbeat.degraded(LOOP, _line(error)[:200])
                not_before = loop.time() + _AGAIN
            else:
                log.info("backup made", backup=str(made))
                heartbeat.degraded(LOOP, None)
        await stop.sleep(_LOOK)


async def _check(given: argparse.Namespace) -> None:
    found = await restoring.check(given.backup, _nobody)
    print(f"whole: {_what(found)}")


async def _restore(chosen: CloudSettings, given: argparse.Namespace) -> None:
    found = await restoring.restore(chosen, given.backup, given.replace, _nobody)
    print(f"restored: {_what(found)}")
    print(
        f"Everybody signs in again, and enrolment codes are to be made anew. What was barred, revoked or changed after "
        f"{found.made_at:%Y-%m-%d %H:%M} UTC is as it was then.",
        file=sys.stderr,
    )


def _what(found: Manifest) -> str:
    rows = found.rows
    pictures = f"{found.picture_count} pictures" if found.pictures == "copied" else f"pictures in {found.pictures_at}"
    return (
        f"cloud {found.cloud_id} of {found.made_at:%Y-%m-%d %H:%M:%S} UTC, {rows.get('devices', 0)} devices, "
        f"{rows.get('triggers', 0)} triggers, {pictures}"
    )


def _nobody() -> None:
    """Nobody counts the beats of a command at a terminal."""


def _positive(word: str) -> int:
    if not (word.isascii() and word.isdigit() and int(word) > 0):
        raise argparse.ArgumentTypeError(f"{word[:40]!r} is no number from 1 on")
    return int(word)


def _hours(word: str) -> float:
    try:
        hours = float(word)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= 24 * 366:
        raise argparse.ArgumentTypeError(f"{word[:40]!r} is no number of hours")
    return hours
