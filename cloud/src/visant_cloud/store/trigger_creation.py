"""How a trigger begins: by hand, by a schedule, with new settings; while its device is held, so that seq rises."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among, insert_many, insert_returning
from visant_cloud.events import types
from visant_cloud.store import events
from visant_cloud.store.events import NotedChange
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import devices, triggers
from visant_cloud.store.triggers import COLUMNS, Kind, Trigger, first, from_row, one


async def create(
    connection: AsyncConnection,
    device_key: str,
    now: datetime,
    lifetime: float,
    *,
    kind: Kind = "capture",
    type: str = "manual",
    idempotency_key: str | None = None,
    config: dict[str, Any] | None = None,
) -> tuple[Trigger, bool]:
    """A new trigger that lives `lifetime` seconds, and True; or the one this key already made, and False."""
    # one insert at a time per device: a stream reads on from the last seq it has sent, so seq must rise as rows appear
    # (SQLite has one writer anyway). Not FOR UPDATE: that would hold up whoever inserts a row that refers to the device
    if connection.dialect.name != "sqlite":
        await connection.execute(
            select(devices.c.device_key).where(devices.c.device_key == device_key).with_for_update(key_share=True)
        )
    values = {**_new(device_key, now, lifetime, kind, type), "idempotency_key": idempotency_key, "config": config}
    row = await insert_returning(connection, triggers, values, COLUMNS)
    if row is not None:
        await events.note(connection, types.trigger_created(device_key, values))
        return from_row(row), True
    same = select(*COLUMNS).where(triggers.c.device_key == device_key, triggers.c.idempotency_key == idempotency_key)
    found = await first(connection, same)
    assert found is not None
    return found, False


async def create_at_once(
    database: Database, device_key: str, now: datetime, lifetime: float, idempotency_key: str | None
) -> Trigger | None:
    """A new capture trigger by a single statement, which locks as `create` does.

    None: there is no such device, it is not active, or the key was used before; `create` and its caller say which.
    """
    made = _new(device_key, now, lifetime, "capture", "manual")
    given = {f"new_{name}": value for name, value in made.items()} | {"new_idempotency_key": idempotency_key}
    happened = types.trigger_created(device_key, made)
    if database.sqlite:
        async with database.writing() as connection:
            row = await _CREATE.run(connection, given, happened)
        rows = [] if row is None else [row]
    else:
        rows = list(await database.write(_CREATE.noting, _CREATE.given(given, happened)))
    if rows:
        return from_row(rows[0])
    # perhaps this very one was made, and the connection lost before it was said
    again = await database.read(one(device_key, made["trigger_id"]))
    return from_row(again[0]) if again else None


def _create_statement(dialect: str) -> Any:
    names = [*_NEW, "idempotency_key"]
    values = (bindparam(f"new_{name}", type_=triggers.c[name].type).label(name) for name in names)
    device = select(*values).where(devices.c.device_key == bindparam("new_device_key"), devices.c.active)
    if dialect == "postgresql":  # the seq is drawn above the lock: test_seq_is_drawn_while_the_device_is_held
        device = device.with_for_update(key_share=True)
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    new = make(triggers).from_select(names, device, include_defaults=False)
    return new.on_conflict_do_nothing().returning(*COLUMNS)


_NEW = (
    *("organisation_id", "device_key", "trigger_id", "kind", "type", "status", "provisional"),
    *("created_at", "expires_at", "history"),
)
_CREATE = NotedChange(_create_statement("sqlite"), _create_statement("postgresql"))


def _new(device_key: str, now: datetime, lifetime: float, kind: Kind, type: str) -> dict[str, Any]:
    return {
        "organisation_id": organisation_of(device_key),
        "device_key": device_key,
        "trigger_id": f"{type}_{now:%Y%m%dT%H%M%S}_{secrets.token_hex(6)}",
        "kind": kind,
        "type": type,
        "status": "pending",
        "provisional": False,
        "created_at": now,
        "expires_at": now + timedelta(seconds=lifetime),
        "history": [],
    }


@dataclass(frozen=True)
class Slot:
    """A time at which a schedule wants a picture of a device; `lifetime`: seconds that its trigger waits."""

    schedule_id: int
    device_key: str
    scheduled_for: datetime
    lifetime: float


async def create_scheduled(connection: AsyncConnection, slots: Iterable[Slot], now: datetime) -> list[str]:
    """A trigger for each slot that has none yet. The caller holds the devices (schedules.due), as `create` does.

    Returns their ids, in the order of the slots; the id of a slot that had one is nobody's.
    """
    rows = [
        {
            **_new(slot.device_key, now, slot.lifetime, "capture", "scheduled"),
            "schedule_id": slot.schedule_id,
            "scheduled_for": slot.scheduled_for,
        }
        for slot in slots
    ]
    await insert_many(connection, triggers, rows)
    made = {row["trigger_id"]: row for row in rows}
    there = select(triggers.c.trigger_id).where(
        among(connection, triggers.c.device_key, {row["device_key"] for row in rows}),
        among(connection, triggers.c.trigger_id, made),
    )
    new = [made[trigger_id] for trigger_id in (await connection.execute(there)).scalars()] if rows else []
    await events.note(connection, *(types.trigger_created(row["device_key"], row) for row in new))
    return list(made)
