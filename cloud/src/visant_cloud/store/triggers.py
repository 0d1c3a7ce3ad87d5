"""The ledger of triggers: every one ends in exactly one outcome, and the way there stays readable."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Row, Select, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store import counters, device_states
from visant_cloud.store.counters import Outcome
from visant_cloud.store.database import Database, among, insert_many, insert_new, insert_returning
from visant_cloud.store.device_states import Locked
from visant_cloud.store.keys import device_id_of, organisation_of
from visant_cloud.store.tables import devices, triggers
from visant_contract.outcome import OutcomeReport, Reason

OPEN = ("pending", "sent")
IS_OPEN = triggers.c.ended_at.is_(None)
"""The same, as the indexes on the open ones have it; `status` is in no index, so that `sent` changes none."""
Kind = Literal["capture", "update_config"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Trigger:
    """One row of `triggers`. `seq` rises with each and is the SSE id."""

    seq: int
    device_key: str
    trigger_id: str
    kind: Kind
    """As the row says: a newer release, or one that was taken back, may have written a word that is not in Kind."""
    type: str
    status: str
    reason: str | None
    detail: str | None
    provisional: bool
    config: dict[str, Any] | None
    created_at: datetime
    expires_at: datetime | None
    sent_at: datetime | None
    ended_at: datetime | None
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def device_id(self) -> str:
        """What the device calls itself."""
        return device_id_of(self.device_key)


COLUMNS = [triggers.c[name] for name in Trigger.__dataclass_fields__]


def from_row(row: Row[Any]) -> Trigger:
    """Of a query for COLUMNS."""
    return Trigger(**row._asdict())


async def _first(connection: AsyncConnection, query: Select[Any]) -> Trigger | None:
    row = (await connection.execute(query)).first()
    return None if row is None else from_row(row)


async def find(connection: AsyncConnection, device_key: str, trigger_id: str) -> Trigger | None:
    """The trigger, or None."""
    return await _first(connection, _one(device_key, trigger_id))


def _one(device_key: str, trigger_id: str) -> Select[Any]:
    return select(*COLUMNS).where(triggers.c.device_key == device_key, triggers.c.trigger_id == trigger_id)


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
        return from_row(row), True
    same = select(*COLUMNS).where(triggers.c.device_key == device_key, triggers.c.idempotency_key == idempotency_key)
    found = await _first(connection, same)
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
    statement = _CREATE["sqlite" if database.sqlite else "postgresql"]
    rows = await database.write(statement, given)
    if rows:
        return from_row(rows[0])
    # perhaps this very one was made, and the connection lost before it was said
    again = await database.read(_one(device_key, made["trigger_id"]))
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
_CREATE = {dialect: _create_statement(dialect) for dialect in ("sqlite", "postgresql")}


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


async def create_scheduled(connection: AsyncConnection, slots: Iterable[Slot], now: datetime) -> None:
    """A trigger for each slot that has none yet. The caller holds the devices (schedules.due), as `create` does."""
    rows = [
        {
            **_new(slot.device_key, now, slot.lifetime, "capture", "scheduled"),
            "schedule_id": slot.schedule_id,
            "scheduled_for": slot.scheduled_for,
        }
        for slot in slots
    ]
    await insert_many(connection, triggers, rows)


async def mark_sent(connection: AsyncConnection, seqs: Iterable[int], now: datetime) -> None:
    """These were written to a stream; the first time counts."""
    held = _held(among(connection, _HELD.c.seq, seqs), _HELD.c.status == "pending").subquery("held")
    await connection.execute(
        update(triggers)
        .where(triggers.c.seq == held.c.seq, triggers.c.status == "pending")
        .values(status="sent", sent_at=now)
    )


_HELD = triggers.alias("mine")


def _held(*which: ColumnElement[bool]) -> Select[Any]:
    """The seqs of these rows of `_HELD`, locked in the order that every transaction takes them in."""
    return select(_HELD.c.seq).where(*which).order_by(_HELD.c.seq).with_for_update(key_share=True)


async def end_settings(connection: AsyncConnection, device_key: str, now: datetime) -> None:
    """Newer settings are there: older ones that wait are sent no more. The device's word on them still counts."""
    await connection.execute(
        update(triggers)
        .where(
            triggers.c.device_key == device_key,
            triggers.c.kind == "update_config",
            IS_OPEN,
            triggers.c.expires_at > now,
        )
        .values(expires_at=now)
    )


def _said(trigger: Trigger) -> list[dict[str, Any]]:
    """The history with the present outcome added, before another takes its place."""
    if trigger.ended_at is None:
        return trigger.history
    entry = {
        "status": trigger.status,
        "reason": trigger.reason,
        "detail": trigger.detail,
        "at": trigger.ended_at.isoformat(),
        "by": "cloud" if trigger.provisional else "device",
    }
    return [*trigger.history, entry]


async def _locked(
    connection: AsyncConnection, device_key: str, trigger_id: str, now: datetime, type: str, kind: Kind
) -> tuple[dict[str, Locked], Trigger]:
    """The device's state and the trigger's row, both locked; the latter is made where the trigger is unknown here
    (another database, a plain cloud's)."""
    states = await device_states.locked(connection, [device_key])
    mine = _one(device_key, trigger_id).with_for_update(key_share=True)
    found = await _first(connection, mine)
    if found is None:
        await insert_new(
            connection,
            triggers,
            {
                "organisation_id": organisation_of(device_key),
                "device_key": device_key,
                "trigger_id": trigger_id,
                "kind": kind,
                "type": type[:50],
                "status": "sent",
                "provisional": False,
                "created_at": now,
                "history": [],
            },
        )
        found = await _first(connection, mine)
        assert found is not None
    return states, found


async def captured(connection: AsyncConnection, device_key: str, trigger_id: str, now: datetime, type: str) -> None:
    """A picture is stored: it wins over every other status."""
    states, before = await _locked(connection, device_key, trigger_id, now, type, "capture")
    if before.status != "executed":
        await _end(connection, states, before, "executed", None, None, now)


async def reported(
    connection: AsyncConnection, device_key: str, trigger_id: str, report: OutcomeReport, now: datetime
) -> Trigger:
    """The device's word: final over nothing and over the cloud's provisional one; never over a picture.

    Said again, or said after another final word, it changes nothing. Returns the row as it stands then.
    """
    kind: Kind = "update_config" if report.status == "executed" else "capture"
    type = str(report.metadata.get("trigger_type", "?"))
    states, before = await _locked(connection, device_key, trigger_id, now, type, kind)
    if before.status in OPEN or before.provisional:
        reason = None if report.reason is None else str(report.reason)
        return await _end(connection, states, before, report.status, reason, report.detail or None, now)
    return before


async def _end(
    connection: AsyncConnection,
    states: dict[str, Locked],
    before: Trigger,
    status: str,
    reason: str | None,
    detail: str | None,
    now: datetime,
) -> Trigger:
    changed: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "detail": detail,
        "provisional": False,
        "ended_at": now,
        "history": _said(before),
    }
    await connection.execute(update(triggers).where(triggers.c.seq == before.seq).values(**changed))
    if before.kind == "capture":
        earlier = None if before.ended_at is None else (before.status, before.reason)
        end = Outcome(before.device_key, before.seq, before.created_at, earlier, (status, reason))
        await counters.count_outcomes(connection, states, [end])
    return replace(before, **changed)


async def expire_silent(connection: AsyncConnection, before: datetime, now: datetime, limit: int = 500) -> int:
    """Says `expired` for now of triggers whose deadline passed `before` and of which nothing was heard.

    At most `limit` of them, the longest overdue first; those of a device that is busy just now come next time.
    """
    due = select(triggers.c.device_key, triggers.c.seq).where(IS_OPEN, triggers.c.expires_at < before)
    rows = (await connection.execute(due.order_by(triggers.c.expires_at).limit(limit))).all()
    if not rows:
        return 0
    states = await device_states.locked(connection, {row.device_key for row in rows}, only_free=True)
    seqs = [row.seq for row in rows if row.device_key in states]
    held = _held(among(connection, _HELD.c.seq, seqs), _HELD.c.ended_at.is_(None)).subquery("held")
    reason = str(Reason.DEVICE_SILENT)
    ended = await connection.execute(
        update(triggers)
        .where(triggers.c.seq == held.c.seq, IS_OPEN)
        .values(status="expired", reason=reason, provisional=True, ended_at=now)
        .returning(triggers.c.device_key, triggers.c.seq, triggers.c.created_at, triggers.c.kind)
    )
    all_ended = ended.all()
    await counters.count_outcomes(
        connection,
        states,
        [
            Outcome(row.device_key, row.seq, row.created_at, None, ("expired", reason))
            for row in all_ended
            if row.kind == "capture"
        ],
    )
    return len(all_ended)
