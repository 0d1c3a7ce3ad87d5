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
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.deletion_clock import LOOK_EVERY, DeletionClock
from visant_cloud.store import (
    access,
    alerts,
    audit,
    captures,
    counters,
    deliveries,
    device_states,
    enrol_batches,
    events,
    jobs,
    schedules,
    slot_days,
    telemetry_history,
)
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
RETENTION_EVERY = LOOK_EVERY
"""Seconds between removals of what is old; one that failed is tried again in the next round."""
MISSED_DAYS = 90
"""Days for which missed slots are kept."""
MESSAGE_DAYS = 90
"""The same of messages about alerts, and of silences that are over."""
ALERT_DAYS = 400
"""The same of alerts that are over: a year, and some to compare it with."""
JOB_DAYS = 30
"""The same of jobs that have ended, with what became of each device."""
BATCH_DAYS = 90
"""Days for which a batch of enrolment codes is kept after its codes expired."""
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
        self._searched = False
        self._clock = DeletionClock(cloud.database, cloud.now)

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
        await forget_events_beyond(self._cloud)
        if time.monotonic() >= self._next_orphans:
            async with aclosing(set_orphans_aside(self._cloud)) as pieces:
                async for _ in pieces:
                    heartbeat.beat(LOOP)  # there may be many, and each may be large
                    if stop.is_set():
                        return
            self._next_orphans = time.monotonic() + (ORPHANS_EVERY if self._searched else _ORPHAN_AGE)
            self._searched = True
        if time.monotonic() >= self._next_retention:
            up_to = await self._clock.look()
            if up_to is not None:
                await remove_old(self._cloud, self._left, up_to)
                await forget_old(self._cloud, up_to)
                await remove_aside(self._cloud, up_to)
                await roll_up(self._cloud, up_to)
            self._next_retention = time.monotonic() + RETENTION_EVERY


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

    # files have their times from the wall clock: just after a step of it a young one looks old by the one or the other
    before = min(datetime.now(UTC), cloud.now()) - timedelta(seconds=_ORPHAN_AGE)
    async with aclosing(cloud.pictures.set_orphans_aside(known, before)) as pieces:
        async for aside in pieces:
            if aside:
                log.warning("pictures without a record set aside", count=len(aside), one=aside[0], into=WITHOUT_RECORD)
            yield len(aside)


async def remove_old(cloud: Cloud, left: list[PictureName], now: datetime) -> int:
    """Deletes pictures received more than RETENTION_DAYS ago; their triggers stay in the ledger. Returns how many.

    `now`: by the DeletionClock. `left`: what the storage did not remove after its rows were gone; it is tried first,
    and one batch is the most that is ever in it.
    """
    days = cloud.settings.retention_days
    if days is None:
        return 0
    removed = 0
    border = now - timedelta(days=days)
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


async def remove_aside(cloud: Cloud, now: datetime) -> None:
    """Deletes pictures without a record that were set aside more than ASIDE_DAYS ago. `now`: by the DeletionClock."""
    count = await cloud.pictures.remove_aside(now - timedelta(days=ASIDE_DAYS))
    if count:
        log.warning("pictures without a record removed", count=count, set_aside_days_ago=ASIDE_DAYS)


_FORGOTTEN = (
    ("missed slots", MISSED_DAYS, schedules.forget_missed),
    ("figures of slots", slot_days.DAYS, slot_days.forget),
    ("messages about alerts", MESSAGE_DAYS, deliveries.forget),
    ("silences", MESSAGE_DAYS, alerts.forget_silences),
    ("alerts", ALERT_DAYS, alerts.forget),
    ("events", events.KEEP_DAYS, events.forget),
    ("reports of telemetry", telemetry_history.RAW_HOURS / 24, telemetry_history.forget_reports),
    ("steps of telemetry", telemetry_history.STEP_DAYS, telemetry_history.forget_hours),
    ("jobs", JOB_DAYS, jobs.forget),
    ("batches of enrolment codes", BATCH_DAYS, enrol_batches.forget),
)


async def forget_old(cloud: Cloud, now: datetime) -> None:
    """Deletes what is _FORGOTTEN, some at a time, sign-ins that are over and enrolment codes that expired."""
    for what, days, forget in (*_FORGOTTEN, ("audit records", cloud.settings.audit_days, audit.forget)):
        border, forgotten = now - timedelta(days=days), 0
        while True:
            async with cloud.database.writing() as connection:
                count = await forget(connection, border)
            forgotten += count
            if not count:
                break
            await asyncio.sleep(_PAUSE)
        if forgotten:
            log.info(f"old {what} removed", count=forgotten, kept_days=days)
    async with cloud.database.writing() as connection:
        await access.forget_expired(connection, now)


async def forget_events_beyond(cloud: Cloud) -> None:
    """Deletes the oldest events where there are more than may be kept: no clock is asked for that."""
    while True:
        async with cloud.database.writing() as connection:
            if not await events.forget_beyond(connection):
                return
        await asyncio.sleep(_PAUSE)


async def roll_up(cloud: Cloud, now: datetime | None = None) -> int:
    """Adds up the figures of days long past (counters.KEEP_DAYS) by month. Returns how many rows that saved."""
    rolled = 0
    while True:
        async with cloud.database.writing() as connection:
            count = await counters.roll_up(connection, now or cloud.now())
        rolled += count
        if not count:
            return rolled
        await asyncio.sleep(_PAUSE)
