"""What a long-running cloud does beside its work: marks connected devices as seen, removes what is too old or left, and
adds up old figures."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from visant_cloud.captures.storage import ASIDE_DAYS, WITHOUT_RECORD, PictureName, StorageAway
from visant_cloud.context import Cloud
from visant_cloud.store import captures, counters, device_states
from visant_cloud.store.database import DATABASE_ERRORS
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

SEEN_EVERY = 60.0
"""Seconds between rounds."""
RETENTION_BATCH = 200
"""Pictures removed in one transaction; then others have their turn."""
_PAUSE = 0.05
"""Seconds between two of them."""
RETENTION_EVERY = 3600.0
"""Seconds between removals of old pictures; one that failed is tried again in the next round."""
ORPHANS_EVERY = 86400.0
"""Seconds between searches for pictures without a record, beside the one at the start and the one after _ORPHAN_AGE,
which finds what the process before this one left at its end."""
_ORPHAN_AGE = 3600.0
"""Seconds; a younger picture may be on its way into the database."""
LOOP = "housekeeping"


class Housekeeping:
    """One per process; several do no harm."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._next_orphans = 0.0
        self._next_retention = 0.0
        self._left: list[PictureName] = []
        self._looked_at: tuple[datetime, float] | None = None
        """When pictures without a record were looked for last, by the cloud's clock and a steady one."""

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end. The first round comes at once."""
        await every(
            SEEN_EVERY,
            partial(self._round, stop, heartbeat),
            stop,
            heartbeat,
            loop=LOOP,
            max_age=3 * SEEN_EVERY,
            survives=(*DATABASE_ERRORS, StorageAway),
            complaint="housekeeping put off",
            at_once=True,
        )

    async def _round(self, stop: Stop, heartbeat: Heartbeat) -> None:
        await mark_connected_seen(self._cloud)
        if time.monotonic() >= self._next_orphans:
            async with aclosing(set_orphans_aside(self._cloud)) as pieces:
                async for _ in pieces:
                    heartbeat.beat(LOOP)  # there may be many, and each may be large
                    if stop.is_set():
                        return
            self._next_orphans = time.monotonic() + (_ORPHAN_AGE if self._looked_at is None else ORPHANS_EVERY)
            await self._remove_aside()
        if time.monotonic() >= self._next_retention:
            await remove_old(self._cloud, self._left)
            await roll_up(self._cloud)
            self._next_retention = time.monotonic() + RETENTION_EVERY

    async def _remove_aside(self) -> None:
        """Beginning with the second search: a clock that is ahead for once removes nothing."""
        now, steady = self._cloud.now(), time.monotonic()
        before, self._looked_at = self._looked_at, (now, steady)
        if before is None:
            return
        believed = min(now, before[0] + timedelta(seconds=steady - before[1]))
        count = await self._cloud.pictures.remove_aside(believed - timedelta(days=ASIDE_DAYS))
        if count:
            log.warning("pictures without a record removed", count=count, set_aside_days_ago=ASIDE_DAYS)


async def mark_connected_seen(cloud: Cloud) -> None:
    """Connected devices count as seen just now, should this process die."""
    connected = cloud.hub.connected_here()
    if connected:
        async with cloud.database.writing() as connection:
            await device_states.mark_seen(connection, connected, cloud.now())


async def set_orphans_aside(cloud: Cloud) -> AsyncGenerator[int, None]:
    """Looks through all that is stored; yields for each piece how many without a record it set aside."""

    async def known(record_ids: Collection[str]) -> set[str]:
        async with cloud.database.reading() as connection:
            return await captures.known(connection, record_ids)

    before = datetime.fromtimestamp(time.time() - _ORPHAN_AGE, UTC)
    async with aclosing(cloud.pictures.set_orphans_aside(known, before)) as pieces:
        async for aside in pieces:
            if aside:
                log.warning("pictures without a record set aside", count=len(aside), one=aside[0], into=WITHOUT_RECORD)
            yield len(aside)


async def remove_old(cloud: Cloud, left: list[PictureName]) -> int:
    """Deletes pictures received more than RETENTION_DAYS ago; their triggers stay in the ledger. Returns how many.

    `left`: what the storage did not remove after its rows were gone. It is tried first, and one batch is the most that
    is ever in it.
    """
    days = cloud.settings.retention_days
    if days is None:
        return 0
    removed = 0
    border = cloud.now() - timedelta(days=days)
    while True:
        await cloud.pictures.remove(left)
        left.clear()
        async with cloud.database.writing() as connection:
            old = await captures.delete_older(connection, border, RETENTION_BATCH)
        if not old:
            break
        left.extend(PictureName(one.device_key, one.received_at, one.record_id) for one in old)
        removed += len(old)
        await asyncio.sleep(_PAUSE)
    if removed:
        log.info("old pictures removed", count=removed, retention_days=days)
    return removed


async def roll_up(cloud: Cloud) -> int:
    """Adds up the figures of days long past (counters.KEEP_DAYS) by month. Returns how many rows that saved."""
    rolled = 0
    while True:
        async with cloud.database.writing() as connection:
            count = await counters.roll_up(connection, cloud.now())
        rolled += count
        if not count:
            return rolled
        await asyncio.sleep(_PAUSE)
