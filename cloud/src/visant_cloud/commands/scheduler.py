"""TriggerScheduler: fires the devices' own schedules. "Due" is counted from the last scheduled time: nothing drifts.

Several processes may run it on one database: each takes what no other holds, and moves it on before it lets go.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.shared_rounds import SharedRounds
from visant_cloud.database.engine import DATABASE_ERRORS, Database
from visant_cloud.schedules.spread import share
from visant_cloud.store import schedules, trigger_creation
from visant_cloud.store.schedules import Due, MissedRun
from visant_cloud.store.trigger_creation import Slot
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

TICK = 0.5
"""Seconds between rounds."""
BATCH = 200
"""Schedules that one transaction moves. A trigger by hand waits for the one that has its device, on SQLite every write
does; with 500 a fire costs up to a third less CPU, and they wait twice as long.
"""
CLOCK_PLAY = 60.0
"""Seconds by which clocks of several machines, or one that is put right, may differ before a schedule begins anew."""
LOOP = "scheduler"


class Overdue(NamedTuple):
    """What has become of a schedule whose time has come."""

    slot: datetime
    """The time to fire for: the last one that has passed."""
    after: datetime
    """The next one."""
    missed: int
    """How many times before `slot` have passed as well."""


class Round(NamedTuple):
    """What one transaction did."""

    found: int
    """Schedules that were due and that nobody held."""
    fired: list[str]
    """Keys of the devices that have a trigger from it."""
    trigger_ids: list[str]
    """Of the same, in the same order."""


def first_firing(device_key: str, interval: float, now: datetime) -> datetime:
    """The first time of a new schedule: within one interval, at a place that the key's hash chooses."""
    return now + timedelta(seconds=share(device_key) * interval)


def catch_up(scheduled: datetime, interval: float, now: datetime) -> Overdue:
    """Of times missed meanwhile only the last is made up for. The grid is one of whole microseconds."""
    step = timedelta(seconds=interval)
    missed = max(0, (now - scheduled) // step)
    slot = scheduled + missed * step
    return Overdue(slot, slot + step, missed)


def missed_run(due: Due, overdue: Overdue) -> tuple[MissedRun, datetime] | None:
    """The slots that nobody is asked for, as one run, and when the run ended that it would continue.

    A barred device misses them all. Of an active one the last is made up for, so that a cloud which is late again and
    again makes one run of it.
    """
    step = timedelta(seconds=due.interval_seconds)
    if not due.active:
        run = MissedRun(
            due.schedule_id, due.device_key, due.next_at, overdue.slot, overdue.missed + 1, reason="not_active"
        )
        return run, due.next_at - step
    if not overdue.missed:
        return None
    run = MissedRun(due.schedule_id, due.device_key, due.next_at, overdue.slot - step, overdue.missed, reason="late")
    return run, due.next_at - 2 * step


class TriggerScheduler:
    """One per process."""

    def __init__(self, database: Database, hub: CommandHub, now: Callable[[], datetime], ttl_max: float) -> None:
        self._database = database
        self._hub = hub
        self._now = now
        self._ttl_max = ttl_max
        self._shared = SharedRounds(database, hub, now, ttl_max)
        self._next_look = 0.0
        self._overdue = 0.0
        self._looked_at = time.monotonic()

    def lag(self) -> float:
        """Seconds by which the longest overdue schedule of the last round was late, or since when no round came."""
        return max(self._overdue, self._shared.overdue, time.monotonic() - self._looked_at - 2 * TICK, 0.0)

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""

        def go_on() -> bool:
            heartbeat.beat(LOOP)
            return not stop.is_set()

        async def work() -> None:
            if time.monotonic() >= self._next_look:
                await self.begin_anew()
                self._next_look = time.monotonic() + CLOCK_PLAY
            await self.fire_due(go_on)
            await self._shared.run_due(go_on)

        await every(
            TICK,
            work,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=60.0,
            survives=DATABASE_ERRORS,
            complaint="schedules not looked at",
            degrades="database",
        )

    async def fire_due(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Fires all that is due, batch after batch while `go_on()`; returns how many triggers that made."""
        fired = 0
        while True:
            async with self._database.writing() as connection:
                done = await self.fire_batch(connection)
            for device_key, trigger_id in zip(done.fired, done.trigger_ids, strict=True):
                self._hub.nudge(device_key)  # after the commit: what a nudged stream reads is there
                log.info("trigger created", device=device_key, trigger_id=trigger_id, type="scheduled")
            fired += len(done.fired)
            self._looked_at = time.monotonic()
            if done.found < BATCH or not go_on():
                return fired

    async def fire_batch(self, connection: AsyncConnection) -> Round:
        """In one transaction, which the caller commits: moves what is due, with its triggers and missed slots."""
        now = self._now()
        found = await schedules.due(connection, now, BATCH)
        self._overdue = (now - found[0].next_at).total_seconds() if found else 0.0
        overdue = [(one, catch_up(one.next_at, one.interval_seconds, now)) for one in found]
        await schedules.move(connection, {one.schedule_id: its.after for one, its in overdue})
        slots = [
            Slot(one.schedule_id, one.device_key, its.slot, min(one.interval_seconds, self._ttl_max))
            for one, its in overdue
            if one.active
        ]
        trigger_ids = await trigger_creation.create_scheduled(connection, slots, now)
        await schedules.note_missed(connection, [run for pair in overdue if (run := missed_run(*pair)) is not None])
        return Round(len(found), [slot.device_key for slot in slots], trigger_ids)

    async def begin_anew(self) -> int:
        """Schedules that a clock ahead of this one has moved begin again as new ones do; returns how many.

        Not on their old grid: its times of the hours to come may be used up.
        """
        begun = 0
        while True:
            now = self._now()
            async with self._database.writing() as connection:
                found = await schedules.beyond(connection, now, CLOCK_PLAY, BATCH)
                first = {one.schedule_id: first_firing(one.device_key, one.interval_seconds, now) for one in found}
                await schedules.move(connection, first)
            begun += len(found)
            if len(found) < BATCH:
                break
        begun += await self._shared.begin_anew(CLOCK_PLAY)
        if begun:
            log.warning("schedules of a clock that was ahead begin anew: was the clock put back?", count=begun)
        return begun
