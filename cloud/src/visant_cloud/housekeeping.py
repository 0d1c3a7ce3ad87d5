"""What a long-running cloud does beside its work: marks connected devices as seen, removes what is too old or left."""

import asyncio
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from visant_cloud.captures.storage import WITHOUT_RECORD, by_record
from visant_cloud.context import Cloud
from visant_cloud.store import captures, devices
from visant_cloud.store.database import DATABASE_ERRORS
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

SEEN_EVERY = 60.0
"""Seconds between rounds."""
RETENTION_EVERY = 3600.0
"""Seconds between removals of old pictures; one that failed is tried again in the next round."""
_ORPHAN_AGE = 3600.0
"""Seconds; a younger file may be on its way into the database."""
LOOP = "housekeeping"


class Housekeeping:
    """One per process; several do no harm."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._orphans_set_aside = False
        self._next_retention = 0.0

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end. The first round comes at once."""
        await every(
            SEEN_EVERY,
            partial(self._round, stop, heartbeat),
            stop,
            heartbeat,
            loop=LOOP,
            max_age=3 * SEEN_EVERY,
            survives=DATABASE_ERRORS,
            complaint="housekeeping put off",
            at_once=True,
        )

    async def _round(self, stop: Stop, heartbeat: Heartbeat) -> None:
        await mark_connected_seen(self._cloud)
        if not self._orphans_set_aside:
            for folder in await asyncio.to_thread(self._cloud.pictures.folders):
                await set_orphans_aside(self._cloud, folder)
                heartbeat.beat(LOOP)  # there may be many, and each may be large
                if stop.is_set():
                    return
            self._orphans_set_aside = True
        if time.monotonic() >= self._next_retention:
            await remove_old(self._cloud)
            self._next_retention = time.monotonic() + RETENTION_EVERY


async def mark_connected_seen(cloud: Cloud) -> None:
    """Connected devices count as seen just now, should this process die."""
    connected = cloud.hub.connected_here()
    if connected:
        async with cloud.database.writing() as connection:
            await devices.mark_seen(connection, connected, cloud.now())


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
        log.warning("files without a record set aside", count=count, device=folder.parent.name, folder=WITHOUT_RECORD)
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
            old = await captures.delete_older(connection, border)
        for one in old:
            await asyncio.to_thread(cloud.pictures.remove, one.device_key, one.received_at, one.record_id)
        removed += len(old)
        if not old:
            break
    if removed:
        log.info("old pictures removed", count=removed, retention_days=days)
    return removed
