"""Schedules: when each device takes its next picture by itself, and the times that nobody could be asked for one.

A slot is one schedule, one device and one time; `triggers` holds at most one trigger for each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, bindparam, delete, extract, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among, insert_many, insert_new
from visant_cloud.store import slot_days
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import devices, missed_slots, schedules

MissedReason = Literal["late", "not_active"]
"""`late`: the cloud or its database was away or too busy. `not_active`: the device was barred."""


@dataclass(frozen=True)
class Schedule:
    """One row of `schedules`."""

    schedule_id: int
    device_key: str
    interval_seconds: float
    next_at: datetime
    created_at: datetime


@dataclass(frozen=True)
class Due:
    """A schedule whose time has come, locked with its device for the rest of the transaction."""

    schedule_id: int
    device_key: str
    interval_seconds: float
    next_at: datetime
    active: bool
    """Whether the device may be asked for a picture."""


@dataclass(frozen=True)
class MissedRun:
    """One row of `missed_slots`: `count` slots from `first_at` to `last_at` for which no trigger was made."""

    schedule_id: int
    device_key: str
    first_at: datetime
    last_at: datetime
    count: int
    reason: MissedReason


_COLUMNS = [schedules.c[name] for name in Schedule.__dataclass_fields__]
_MISSED = [missed_slots.c[name] for name in MissedRun.__dataclass_fields__]
_DUE = (
    select(*(schedules.c[name] for name in list(Due.__dataclass_fields__)[:-1]), devices.c.active)
    .join(devices, devices.c.device_key == schedules.c.device_key)
    .order_by(schedules.c.next_at, schedules.c.schedule_id)
    # who inserts a trigger holds the device (trigger_creation.py), who reads on from a seq relies on it; what another
    # holds is passed over, so nobody waits and no order of locks can close a circle. SQLite has one writer anyway
    .with_for_update(of=[schedules, devices], skip_locked=True, key_share=True)
)


async def put(
    connection: AsyncConnection, device_key: str, interval_seconds: float, next_at: datetime, now: datetime
) -> None:
    """The device's one schedule, new or in place of what was. There must be such a device."""
    timing = {"interval_seconds": interval_seconds, "next_at": next_at}
    row = {"organisation_id": organisation_of(device_key), "device_key": device_key, "created_at": now, **timing}
    if not await insert_new(connection, schedules, row):
        await connection.execute(update(schedules).where(*_of(device_key)).values(**timing))


async def remove(connection: AsyncConnection, device_key: str) -> None:
    """The device has no schedule from now on."""
    await connection.execute(delete(schedules).where(*_of(device_key)))


async def find(connection: AsyncConnection, device_key: str) -> Schedule | None:
    """The device's schedule, or None."""
    row = (await connection.execute(select(*_COLUMNS).where(*_of(device_key)))).one_or_none()
    return None if row is None else Schedule(**row._asdict())


async def everyone(connection: AsyncConnection, organisation_id: str) -> dict[str, Schedule]:
    """device_key -> schedule, of an organisation."""
    rows = await connection.execute(select(*_COLUMNS).where(schedules.c.organisation_id == organisation_id))
    return {row.device_key: Schedule(**row._asdict()) for row in rows}


async def of_devices(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, Schedule]:
    """device_key -> schedule, for those of them that have one."""
    chosen = among(connection, schedules.c.device_key, keys := list(device_keys))
    # with the organisation, as the index has it
    mine = schedules.c.organisation_id.in_({organisation_of(key) for key in keys})
    rows = await connection.execute(select(*_COLUMNS).where(mine, chosen))
    return {row.device_key: Schedule(**row._asdict()) for row in rows}


def _of(device_key: str) -> tuple[Any, Any]:
    return schedules.c.organisation_id == organisation_of(device_key), schedules.c.device_key == device_key


async def due(connection: AsyncConnection, now: datetime, limit: int) -> list[Due]:
    """What has come, the longest overdue first, and locked. What another transaction holds is left for the next time.

    For a transaction that writes: the locks live as long as it does.
    """
    return await _locked(connection, _DUE.where(schedules.c.next_at <= now), limit)


async def beyond(connection: AsyncConnection, now: datetime, play: float, limit: int) -> list[Due]:
    """Schedules whose next time is more than an interval and `play` seconds away, locked as by `due`.

    No clock that goes right sets one so far: it is left from a clock that was ahead, or has been put back since.
    """
    far = now.timestamp() + schedules.c.interval_seconds + play
    return await _locked(connection, _DUE.where(extract("epoch", schedules.c.next_at) > far), limit)


async def _locked(connection: AsyncConnection, query: Select[Any], limit: int) -> list[Due]:
    return [Due(**row._asdict()) for row in await connection.execute(query.limit(limit))]


_MOVE = update(schedules).where(schedules.c.schedule_id == bindparam("moved")).values(next_at=bindparam("to"))


async def move(connection: AsyncConnection, to: dict[int, datetime]) -> None:
    """schedule_id -> its next time. The caller holds them (`due`)."""
    if to:
        await connection.execute(_MOVE, [{"moved": schedule_id, "to": moment} for schedule_id, moment in to.items()])


_EXTEND = (
    update(missed_slots)
    .where(
        missed_slots.c.device_key == bindparam("of_device"),
        missed_slots.c.last_at == bindparam("ended"),
        missed_slots.c.schedule_id == bindparam("of_schedule"),
        missed_slots.c.reason == bindparam("for_reason"),
    )
    .values(last_at=bindparam("until"), count=missed_slots.c.count + bindparam("more"))
)


async def note_missed(connection: AsyncConnection, runs: Sequence[tuple[MissedRun, datetime]]) -> None:
    """Runs of missed slots, each with the time at which a run of the same reason ended that it continues, if any did.

    A run that continues one makes it longer; a slot that is in a run already is not counted again.
    """
    if not runs:
        return
    await connection.execute(
        _EXTEND,
        [
            {
                "of_device": run.device_key,
                "of_schedule": run.schedule_id,
                "for_reason": run.reason,
                "ended": ended,
                "until": run.last_at,
                "more": run.count,
            }
            for run, ended in runs
        ],
    )
    # one that was made longer ends where the new one does: the key says that it is there
    rows = [{"organisation_id": organisation_of(run.device_key), **vars(run)} for run, _ in runs]
    await insert_many(connection, missed_slots, rows)
    await slot_days.count_missed(
        connection, [(run.device_key, run.first_at, run.last_at, run.count, run.reason) for run, _ in runs]
    )


async def missed(connection: AsyncConnection, device_key: str, limit: int) -> list[MissedRun]:
    """Runs of missed slots of a device, the newest first."""
    query = select(*_MISSED).where(missed_slots.c.device_key == device_key).order_by(missed_slots.c.last_at.desc())
    return [MissedRun(**row._asdict()) for row in await connection.execute(query.limit(limit))]


async def missed_between(
    connection: AsyncConnection,
    organisation_id: str,
    chosen: Select[Any] | None,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[MissedRun]:
    """Runs that reach into a time, the newest first. `chosen`: keys of the devices; None: all.

    Served by ix_missed_slots_last_at: runs that ended before are not looked at.
    """
    query = select(*_MISSED).where(
        missed_slots.c.last_at >= since,
        missed_slots.c.first_at < until,
        missed_slots.c.organisation_id == organisation_id,
    )
    if chosen is not None:
        query = query.where(missed_slots.c.device_key.in_(chosen))
    query = query.order_by(missed_slots.c.last_at.desc(), missed_slots.c.device_key).limit(limit)
    return [MissedRun(**row._asdict()) for row in await connection.execute(query)]


async def forget_missed(connection: AsyncConnection, before: datetime, limit: int = 1000) -> int:
    """Removes runs that ended before then, the oldest first; returns how many, 0 at the end."""
    key = missed_slots.c.device_key, missed_slots.c.last_at, missed_slots.c.schedule_id
    old = select(*key).where(missed_slots.c.last_at < before).order_by(missed_slots.c.last_at).limit(limit)
    return (await connection.execute(delete(missed_slots).where(tuple_(*key).in_(old)))).rowcount
