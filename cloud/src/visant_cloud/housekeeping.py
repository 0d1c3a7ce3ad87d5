"""What a long-running cloud does beside its work: notes who is connected, removes what is too old or left over."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from visant_cloud.captures.storage import WITHOUT_RECORD, by_record
from visant_cloud.context import Cloud
from visant_cloud.store import captures, devices
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop

log = structlog.get_logger()

SEEN_EVERY = 60.0
RETENTION_EVERY = 3600.0
_ORPHAN_AGE = 3600.0
"""Seconds; a younger file may be on its way into the database."""
LOOP = "housekeeping"


async def run(cloud: Cloud, stop: Stop, heartbeat: Heartbeat) -> None:
    """Until the end. The first round comes at once."""
    heartbeat.expect(LOOP, 3 * SEEN_EVERY)
    next_retention = 0.0
    first = True
    while True:
        try:
            await note_connected(cloud)
            if first:
                for folder in await asyncio.to_thread(cloud.pictures.folders):
                    await set_orphans_aside(cloud, folder)
                    heartbeat.beat(LOOP)
                    if stop.is_set():
                        return
                first = False
            if time.monotonic() >= next_retention:
                await remove_old(cloud)
                next_retention = time.monotonic() + RETENTION_EVERY
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("housekeeping put off", error=str(error)[:200])
        heartbeat.beat(LOOP)
        if await stop.sleep(SEEN_EVERY):
            return


async def note_connected(cloud: Cloud) -> None:
    """Connected devices were seen just now, should this process die."""
    connected = cloud.hub.held()
    if connected:
        async with cloud.database.writing() as connection:
            await devices.seen(connection, connected, cloud.now())


async def set_orphans_aside(cloud: Cloud, folder: Path) -> int:
    """Files of one folder without a row: drafts go, whole pictures are kept elsewhere. Returns how many."""
    border = time.time() - _ORPHAN_AGE
    files = await asyncio.to_thread(by_record, folder)
    async with cloud.database.reading() as connection:
        known = await captures.known(connection, files)
    orphans = [folder / name for record_id in files.keys() - known for name in files[record_id]]
    if not orphans:
        return 0
    count = await asyncio.to_thread(cloud.pictures.set_aside, orphans, border)
    if count:
        log.warning(
            "files without a record set aside", count=count, device_id=folder.parent.name, folder=WITHOUT_RECORD
        )
    return count


async def remove_old(cloud: Cloud) -> int:
    """Deletes pictures received more than RETENTION_DAYS ago; their triggers stay in the ledger. Returns how many."""
    days = cloud.settings.retention_days
    if days is None:
        return 0
    removed = 0
    border = cloud.now() - timedelta(days=days)
    while True:
        async with cloud.database.writing() as connection:
            old = await captures.take_older(connection, border)
        for one in old:
            await asyncio.to_thread(cloud.pictures.remove, one.device_id, one.received_at, one.record_id)
        removed += len(old)
        if not old:
            break
    if removed:
        log.info("old pictures removed", count=removed, retention_days=days)
    return removed
