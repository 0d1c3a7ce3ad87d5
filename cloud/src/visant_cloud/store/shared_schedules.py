"""Shared schedules: rules that stand for themselves, and the slots of theirs that have come and wait for a trigger.

A slot is one schedule, one device and one time, as of a device's own schedule (schedules.py). When its time comes, it
becomes a row of `slots_due` for each device that the schedule is attached to at that moment: nobody keeps a list of
members up to date.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import insert_many, insert_returning
from visant_cloud.schedules.rule import Rule, kept, rule_of
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import devices, shared_schedules, slots_due


@dataclass(frozen=True)
class SharedSchedule:
    """One row of `shared_schedules`."""

    schedule_id: int
    organisation_id: str
    name: str
    rule: Rule
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    next_at: datetime | None
    previous_at: datetime | None
    late_until: datetime | None
    shift: int


@dataclass(frozen=True)
class DueSlot:
    """A slot that waits for its trigger, locked with its device for the rest of the transaction."""

    schedule_id: int
    device_key: str
    slot: datetime
    due_at: datetime
    lifetime: float
    """Seconds that its trigger waits for the device."""
    make_up: bool
    """Whether a trigger is made when that is late."""
    active: bool
    """Whether the device may be asked for a picture."""


def slots_id(schedule_id: int) -> int:
    """What `triggers` and `missed_slots` call a shared schedule: the devices' own schedules count upwards."""
    return -schedule_id


COLUMNS = [shared_schedules.c[name] for name in SharedSchedule.__dataclass_fields__]
_DUE = (
    select(shared_schedules)
    .where(shared_schedules.c.next_at.is_not(None))
    .order_by(shared_schedules.c.next_at, shared_schedules.c.schedule_id)
    .with_for_update(skip_locked=True, key_share=True)
    .with_only_columns(*COLUMNS)
)
_SLOTS = (
    select(*(slots_due.c[name] for name in list(DueSlot.__dataclass_fields__)[:-1]), devices.c.active)
    .join(devices, devices.c.device_key == slots_due.c.device_key)
    .order_by(slots_due.c.due_at, slots_due.c.schedule_id, slots_due.c.device_key)
    # as schedules.due, and for the same reasons: the device is held before its trigger's seq is drawn, nothing waits
    .with_for_update(of=[slots_due, devices], skip_locked=True, key_share=True)
)
_EARLIEST = select(
    select(func.min(shared_schedules.c.next_at)).where(shared_schedules.c.next_at.is_not(None)).scalar_subquery(),
    select(func.min(slots_due.c.due_at)).scalar_subquery(),
)


def from_row(row: Any) -> SharedSchedule:
    """A row of COLUMNS."""
    return SharedSchedule(**{**row._asdict(), "rule": rule_of(row.rule)})


async def create(
    connection: AsyncConnection,
    organisation_id: str,
    name: str,
    rule: Rule,
    *,
    active: bool,
    next_at: datetime | None,
    now: datetime,
) -> SharedSchedule | None:
    """A new one; None where the organisation has one of this name."""
    values = {
        "organisation_id": organisation_id,
        "name": name,
        "rule": kept(rule),
        "active": active,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "next_at": next_at,
        "shift": 0,
    }
    row = await insert_returning(connection, shared_schedules, values, COLUMNS)
    return None if row is None else from_row(row)


async def count(connection: AsyncConnection, organisation_id: str) -> int:
    """How many an organisation has."""
    query = select(func.count()).where(shared_schedules.c.organisation_id == organisation_id)
    return int((await connection.execute(query)).scalar_one())


async def find(
    connection: AsyncConnection, organisation_id: str, schedule_id: int, *, to_change: bool = False
) -> SharedSchedule | None:
    """One of the organisation, or None. `to_change`: locked for the rest of the transaction."""
    query = select(*COLUMNS).where(*_one(organisation_id, schedule_id))
    row = (await connection.execute(query.with_for_update(key_share=True) if to_change else query)).one_or_none()
    return None if row is None else from_row(row)


async def page(
    connection: AsyncConnection, organisation_id: str, before: int | None, limit: int
) -> list[SharedSchedule]:
    """The newest first, from below `before`."""
    query = select(*COLUMNS).where(shared_schedules.c.organisation_id == organisation_id)
    if before is not None:
        query = query.where(shared_schedules.c.schedule_id < before)
    rows = await connection.execute(query.order_by(shared_schedules.c.schedule_id.desc()).limit(limit))
    return [from_row(row) for row in rows]


async def name_taken(connection: AsyncConnection, organisation_id: str, name: str, but_by: int) -> bool:
    """Whether another schedule of the organisation is called so."""
    query = select(shared_schedules.c.schedule_id).where(
        shared_schedules.c.organisation_id == organisation_id,
        shared_schedules.c.name == name,
        shared_schedules.c.schedule_id != but_by,
    )
    return (await connection.execute(query)).first() is not None


async def change(
    connection: AsyncConnection,
    found: SharedSchedule,
    name: str,
    rule: Rule,
    *,
    active: bool,
    next_at: datetime | None,
    now: datetime,
) -> None:
    """All of it anew. The caller holds it (`find`). What has come and waits goes on, but not of one that rests."""
    values = {"name": name, "rule": kept(rule), "active": active, "next_at": next_at, "updated_at": now}
    await connection.execute(
        update(shared_schedules)
        .where(shared_schedules.c.schedule_id == found.schedule_id)
        .values(**values, version=found.version + 1, late_until=None)
    )
    if not active:
        await connection.execute(delete(slots_due).where(slots_due.c.schedule_id == found.schedule_id))


async def remove(connection: AsyncConnection, organisation_id: str, schedule_id: int) -> bool:
    """With what it is attached to and what waits; triggers that were made stay. False where there is none."""
    query = delete(shared_schedules).where(*_one(organisation_id, schedule_id))
    return (await connection.execute(query)).rowcount == 1


def _one(organisation_id: str, schedule_id: int) -> tuple[Any, Any]:
    return shared_schedules.c.organisation_id == organisation_id, shared_schedules.c.schedule_id == schedule_id


# The scheduler's


async def earliest(database: Database) -> tuple[datetime | None, datetime | None]:
    """When the next slot of any schedule comes, and when the first of those that have come is due."""
    row = tuple((await database.read(_EARLIEST))[0])
    return row[0], row[1]


async def due(connection: AsyncConnection, now: datetime, limit: int) -> list[SharedSchedule]:
    """Schedules of which a slot has come, locked; what another transaction holds is left for the next time."""
    rows = await connection.execute(_DUE.where(shared_schedules.c.next_at <= now).limit(limit))
    return [from_row(row) for row in rows]


_MOVE = (
    update(shared_schedules)
    .where(shared_schedules.c.schedule_id == bindparam("moved"))
    .values(next_at=bindparam("to"), previous_at=bindparam("previous"), late_until=bindparam("late"))
)


async def move(
    connection: AsyncConnection,
    found: SharedSchedule,
    next_at: datetime | None,
    *,
    previous_at: datetime,
    late_until: datetime | None,
) -> None:
    """On to its next slot. The caller holds it (`due`)."""
    given = {"moved": found.schedule_id, "to": next_at, "previous": previous_at, "late": late_until}
    await connection.execute(_MOVE, given)


async def everyone(connection: AsyncConnection, after: int, limit: int) -> list[SharedSchedule]:
    """Those of all organisations that have a next slot, by id from above `after`."""
    query = select(*COLUMNS).where(shared_schedules.c.next_at.is_not(None), shared_schedules.c.schedule_id > after)
    rows = await connection.execute(query.order_by(shared_schedules.c.schedule_id).limit(limit))
    return [from_row(row) for row in rows]


async def begin_anew(connection: AsyncConnection, found: SharedSchedule, next_at: datetime, shift: int) -> bool:
    """From another slot on; False where it has been moved or changed since it was read."""
    result = await connection.execute(
        update(shared_schedules)
        .where(
            shared_schedules.c.schedule_id == found.schedule_id,
            shared_schedules.c.version == found.version,
            shared_schedules.c.next_at == found.next_at,
        )
        .values(next_at=next_at, previous_at=None, late_until=None, shift=shift)
    )
    return result.rowcount == 1


async def wait(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Rows of `slots_due` without their organisation; one that is there already is left as it is."""
    full = [{"organisation_id": organisation_of(row["device_key"]), **row} for row in rows]
    await insert_many(connection, slots_due, full)


async def waiting(connection: AsyncConnection, now: datetime, limit: int) -> list[DueSlot]:
    """What is due, the longest overdue first, locked. For a transaction that writes."""
    query = _SLOTS.where(slots_due.c.due_at <= now).limit(limit)
    return [DueSlot(**row._asdict()) for row in await connection.execute(query)]


async def waiting_of(connection: AsyncConnection, device_key: str) -> dict[int, datetime]:
    """schedule_id -> when the first slot of it that has come for this device is due."""
    query = select(slots_due.c.schedule_id, func.min(slots_due.c.due_at)).where(slots_due.c.device_key == device_key)
    return {row[0]: row[1] for row in await connection.execute(query.group_by(slots_due.c.schedule_id))}


_DONE = delete(slots_due).where(
    slots_due.c.schedule_id == bindparam("of_schedule"),
    slots_due.c.device_key == bindparam("of_device"),
    slots_due.c.slot == bindparam("of_slot"),
)


async def done(connection: AsyncConnection, found: Iterable[DueSlot]) -> None:
    """They wait no longer. The caller holds them (`waiting`)."""
    keys = [{"of_schedule": one.schedule_id, "of_device": one.device_key, "of_slot": one.slot} for one in found]
    if keys:
        await connection.execute(_DONE, keys)


async def forget_from(connection: AsyncConnection, moment: datetime) -> int:
    """Slots that come after then: a clock that was ahead has left them. Returns how many."""
    return (await connection.execute(delete(slots_due).where(slots_due.c.slot > moment))).rowcount
