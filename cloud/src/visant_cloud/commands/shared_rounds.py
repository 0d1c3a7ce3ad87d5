"""Rounds of the shared schedules: a slot that comes is handed out to the devices of that moment, then each is asked.

As for the devices' own schedules any number of processes may do it on one database: what one holds the others pass
over, and what is done is done in one transaction with the note that it is.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.commands.hub import CommandHub
from visant_cloud.database.engine import Database
from visant_cloud.schedules.cadence import next_after, passed
from visant_cloud.schedules.spread import delay
from visant_cloud.store import schedule_targets, schedules, shared_schedules, trigger_creation
from visant_cloud.store.schedules import MissedRun
from visant_cloud.store.shared_schedules import DueSlot, SharedSchedule, slots_id
from visant_cloud.store.trigger_creation import Slot

log = structlog.get_logger()

BATCH = 200
"""Slots that one transaction fires, as of the devices' own schedules."""
LATE = timedelta(seconds=60)
"""From then on a slot is late; before, it is a round that came late, or a device that another transaction held."""
MOST_PASSED = 1000
"""Slots of one schedule that one round looks back on; the next goes on."""
_TICK = timedelta(microseconds=1)


class Step(NamedTuple):
    """What becomes of a schedule of which slots have come."""

    slot: datetime | None
    """The one that devices are asked for."""
    late: tuple[datetime, datetime, int] | None
    """First, last and count of those that active devices are not asked for."""
    all: tuple[datetime, datetime, int]
    """The same of all that have come: a barred device is asked for none."""
    next_at: datetime | None
    following: datetime | None
    """The slot after `slot`, whether it has come or not."""


def step(found: SharedSchedule, now: datetime) -> Step:
    """Pure. Of several slots the last is made up for, or where the rule says skip, taken if it is not late."""
    assert found.next_at is not None
    shift = found.shift * _TICK
    first = found.next_at
    those = passed(found.rule, first - shift, now - shift, MOST_PASSED)
    last, following = those.last + shift, None if those.following is None else those.following + shift
    behind = following is not None and following <= now
    takes = not behind and (found.rule.missed == "once" or now - last <= LATE)
    late = None
    if not takes:
        late = first, last, those.number
    elif those.before is not None:
        late = first, those.before + shift, those.number - 1
    return Step(last if takes else None, late, (first, last, those.number), following, following)


class SharedRounds:
    """One per process, run by the TriggerScheduler."""

    def __init__(self, database: Database, hub: CommandHub, now: Callable[[], datetime], ttl_max: float) -> None:
        self._database = database
        self._hub = hub
        self._now = now
        self._ttl_max = ttl_max
        self.overdue = 0.0
        """Seconds by which the longest overdue slot was late when last looked at."""

    async def run_due(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Hands out and fires all that is due while `go_on()`; returns how many triggers that made.

        Where nothing is, which is most of the time, that is one read.
        """
        fired = 0
        now = self._now()
        comes, waits = await shared_schedules.earliest(self._database)
        due = [moment for moment in (comes, waits) if moment is not None and moment <= now]
        self.overdue = (now - min(due)).total_seconds() if due else 0.0
        if comes is not None and comes <= now:
            while await self.hand_out() and go_on():
                pass
        if due:
            while True:
                found, made = await self._fire()
                fired += made
                if found < BATCH or not go_on():
                    break
        return fired

    async def hand_out(self) -> bool:
        """The schedule that is due the longest, in one transaction; False where there is none that nobody holds."""
        async with self._database.writing() as connection:
            return await self.hand_out_one(connection)

    async def hand_out_one(self, connection: AsyncConnection) -> bool:
        """The same in the caller's transaction."""
        now = self._now()
        for found in await shared_schedules.due(connection, now, 1):
            done = await asyncio.to_thread(step, found, now)  # some rules take long
            runs: list[tuple[MissedRun, datetime]] = []
            rows: list[dict[str, Any]] = []
            lifetime = self._lifetime(found, done)
            for device_key, active in await schedule_targets.members(connection, found.schedule_id):
                if not active:
                    runs.append(_run(found, device_key, done.all, "not_active", found.previous_at))
                    continue
                if done.late is not None:
                    runs.append(_run(found, device_key, done.late, "late", found.late_until))
                if done.slot is not None:
                    due_at = done.slot + delay(found.schedule_id, device_key, found.rule.jitter_seconds)
                    rows.append(
                        {
                            "schedule_id": found.schedule_id,
                            "device_key": device_key,
                            "slot": done.slot,
                            "due_at": due_at,
                            "lifetime": lifetime,
                            "make_up": found.rule.missed == "once",
                        }
                    )
            await shared_schedules.wait(connection, rows)
            await schedules.note_missed(connection, runs)
            await shared_schedules.move(
                connection,
                found,
                done.next_at,
                previous_at=done.all[1],
                late_until=None if done.late is None else done.late[1],
            )
            return True
        return False

    def _lifetime(self, found: SharedSchedule, done: Step) -> float:
        if found.rule.expires_after_seconds is not None:
            return found.rule.expires_after_seconds
        if done.slot is None or done.following is None:
            return self._ttl_max
        return min((done.following - done.slot).total_seconds(), self._ttl_max)

    async def _fire(self) -> tuple[int, int]:
        async with self._database.writing() as connection:
            found, slots, trigger_ids = await self.fire_batch(connection)
        for slot, trigger_id in zip(slots, trigger_ids, strict=True):
            self._hub.nudge(slot.device_key)  # after the commit: what a nudged stream reads is there
            log.info("trigger created", device=slot.device_key, trigger_id=trigger_id, type="scheduled")
        return found, len(slots)

    async def fire_batch(self, connection: AsyncConnection) -> tuple[int, list[Slot], list[str]]:
        """In one transaction, which the caller commits: triggers for what is due. Returns how many slots that was."""
        now = self._now()
        found = await shared_schedules.waiting(connection, now, BATCH)
        await shared_schedules.done(connection, found)
        asked: list[DueSlot] = []
        missed: list[DueSlot] = []
        for one in found:
            (asked if one.active and (one.make_up or now - one.due_at <= LATE) else missed).append(one)
        slots = [Slot(slots_id(one.schedule_id), one.device_key, one.slot, one.lifetime) for one in asked]
        trigger_ids = await trigger_creation.create_scheduled(connection, slots, now)
        await schedules.note_missed(connection, [_missed(one) for one in missed])
        return len(found), slots, trigger_ids

    async def begin_anew(self, play: float) -> int:
        """Schedules that a clock ahead of this one has moved go on from now; returns how many.

        Their slots lie a microsecond later from then on: those of the hours to come may be used up.
        """
        begun, after = 0, 0
        now = self._now()
        comes, waits = await shared_schedules.earliest(self._database)
        while comes is not None:
            async with self._database.reading() as connection:
                found = await shared_schedules.everyone(connection, after, BATCH)
            for one, begins in await asyncio.to_thread(_astray, found, now, play):
                async with self._database.writing() as connection:
                    begun += await shared_schedules.begin_anew(connection, one, begins, one.shift + 1)
            if len(found) < BATCH:
                break
            after = found[-1].schedule_id
        if waits is not None:
            async with self._database.writing() as connection:
                await shared_schedules.forget_from(connection, now + timedelta(seconds=play))
        return begun


def _astray(found: Sequence[SharedSchedule], now: datetime, play: float) -> list[tuple[SharedSchedule, datetime]]:
    """Those whose next slot is beyond the one that comes, and from when on they begin anew."""
    astray = []
    for one in found:
        shift = one.shift * _TICK
        # no clock that goes right, or within `play`, passes over a slot
        kept = next_after(one.rule, now - shift + timedelta(seconds=play))
        if kept is None or one.next_at is None or one.next_at <= kept + shift:
            continue
        begins = next_after(one.rule, now - shift)
        if begins is not None:
            astray.append((one, begins + shift + _TICK))
    return astray


def _run(
    found: SharedSchedule,
    device_key: str,
    those: tuple[datetime, datetime, int],
    reason: schedules.MissedReason,
    ended: datetime | None,
) -> tuple[MissedRun, datetime]:
    first, last, count = those
    run = MissedRun(slots_id(found.schedule_id), device_key, first, last, count, reason)
    return run, first - _TICK if ended is None else ended


def _missed(one: DueSlot) -> tuple[MissedRun, datetime]:
    reason: schedules.MissedReason = "late" if one.active else "not_active"
    run = MissedRun(slots_id(one.schedule_id), one.device_key, one.slot, one.slot, 1, reason)
    return run, one.slot - _TICK
