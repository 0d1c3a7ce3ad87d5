"""Stored pictures: one row each, the bytes lie in files (captures/storage.py)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among
from visant_cloud.events import types
from visant_cloud.store import counters, device_states
from visant_cloud.store.device_states import DeviceGone, Locked, Newest
from visant_cloud.store.events import NotedChange
from visant_cloud.store.keys import device_id_of, organisation_of
from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import captures, device_quality


@dataclass(frozen=True)
class Capture:
    """One row of `captures`. `uncertainty` in seconds, None: unknown."""

    seq: int
    record_id: str
    device_key: str
    trigger_id: str | None
    trigger_label: str | None
    captured_at: datetime
    received_at: datetime
    uncertainty: float | None
    bytes: int
    width: int
    height: int
    sha256: str
    thumbnail: bool
    metadata: dict[str, Any]
    state: str | None = None
    """What the cloud says of it (quality/judge.py); null for those of before."""
    score: float | None = None
    reason: str | None = None
    evaluated_at: datetime | None = None
    figures: dict[str, Any] | None = None
    own_evaluation: dict[str, Any] | None = None
    """What a program of the customer's says of it."""

    @property
    def device_id(self) -> str:
        """What the device calls itself."""
        return device_id_of(self.device_key)


COLUMNS = [captures.c[name] for name in Capture.__dataclass_fields__]


def from_row(row: Row[Any]) -> Capture:
    return Capture(**row._asdict())


_GIVEN = [column for column in captures.c if column.name != "seq"]
_VALUES = {column.name: bindparam(f"new_{column.name}", type_=column.type) for column in _GIVEN}
_ADD = NotedChange(
    *(
        make(captures).values(_VALUES).on_conflict_do_nothing().returning(*COLUMNS)
        for make in (sqlite.insert, postgresql.insert)
    )
)
"""Made once: to build a statement costs more than to run it."""


async def add(connection: AsyncConnection, values: dict[str, Any]) -> tuple[Capture, dict[str, Locked] | None]:
    """One stored picture, and the state of its device, which is locked; None for that where this trigger of this device
    has a picture: that one, then. Raises DeviceGone.
    """
    key = values["device_key"]
    given = {**values, "organisation_id": organisation_of(key)}
    row = await _ADD.run(connection, _named(given), types.capture_stored(key, given))
    if row is None:
        before = await of_trigger(connection, key, values["trigger_id"])
        assert before is not None
        return before, None
    made = from_row(row)
    held = await device_states.note_newest(connection, key, Newest(made.seq, made.record_id, made.captured_at))
    if not held:
        raise DeviceGone(key)
    await counters.count_capture(connection, key, made.received_at, made.bytes)
    return made, held


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """A parameter for each column: what is left out is the column's default, or null where it may be."""
    left_out = {one.name: getattr(one.default, "arg", None) for one in _GIVEN if one.default or one.nullable}
    return {f"new_{name}": value for name, value in {**left_out, **given}.items()}


_OF_TRIGGER = select(*COLUMNS).where(
    captures.c.device_key == bindparam("device"), captures.c.trigger_id == bindparam("trigger")
)


async def of_trigger(connection: AsyncConnection, device_key: str, trigger_id: str) -> Capture | None:
    """The picture of a trigger, or None."""
    row = (await connection.execute(_OF_TRIGGER, {"device": device_key, "trigger": trigger_id})).one_or_none()
    return None if row is None else from_row(row)


async def stored_before(database: Database, device_key: str, trigger_id: str) -> Capture | None:
    """The same, by a single read."""
    rows = await database.read(_OF_TRIGGER, {"device": device_key, "trigger": trigger_id})
    return from_row(rows[0]) if rows else None


async def of_triggers(connection: AsyncConnection, device_key: str, trigger_ids: Iterable[str]) -> dict[str, Capture]:
    """trigger_id -> picture, for those that have one."""
    wanted = list(trigger_ids)
    found: dict[str, Capture] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        query = select(*COLUMNS).where(captures.c.device_key == device_key, captures.c.trigger_id.in_(part))
        for row in await connection.execute(query):
            capture = from_row(row)
            found[str(capture.trigger_id)] = capture
    return found


async def of_triggers_anywhere(
    connection: AsyncConnection, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Capture]:
    """(device_key, trigger_id) -> picture, for those of a few pairs that have one."""
    query = select(*COLUMNS).where(tuple_(captures.c.device_key, captures.c.trigger_id).in_(pairs))
    found = (from_row(row) for row in await connection.execute(query))
    return {(capture.device_key, str(capture.trigger_id)): capture for capture in found}


async def find(connection: AsyncConnection, scope: Scope, record_id: str) -> Capture | None:
    """The record, or None where there is none such in this scope."""
    query = select(*COLUMNS).where(captures.c.record_id == record_id, scope.holds(captures))
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else from_row(row)


async def evaluate(
    connection: AsyncConnection, scope: Scope, record_id: str, own: dict[str, Any] | None
) -> Capture | None:
    """Keeps what a program of the customer's says of a picture; None where there is no such."""
    mine = captures.c.record_id == record_id, scope.holds(captures)
    query = update(captures).where(*mine).values(own_evaluation=own).returning(*COLUMNS)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else from_row(row)


async def hold(connection: AsyncConnection, record_id: str) -> bool:
    """Whether it is there; it stays until the end of the transaction."""
    query = select(captures.c.seq).where(captures.c.record_id == record_id).with_for_update(key_share=True)
    return (await connection.execute(query)).first() is not None


async def set_verdict(connection: AsyncConnection, record_id: str, state: str, reason: str, now: datetime) -> None:
    """A person said otherwise."""
    values = {"state": state, "score": 1.0, "reason": reason, "evaluated_at": now}
    await connection.execute(update(captures).where(captures.c.record_id == record_id).values(values))


async def page(
    connection: AsyncConnection,
    scope: Scope,
    *,
    device_key: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Capture]:
    """Newest received first, of one device or (None) of all; `before` is the seq to go on from."""
    # the key names the organisation as well; asked for both, a database may choose the index of all devices
    mine = scope.holds(captures) if device_key is None else captures.c.device_key == device_key
    query = select(*COLUMNS).where(mine)
    if before is not None:
        query = query.where(captures.c.seq < before)
    rows = await connection.execute(query.order_by(captures.c.seq.desc()).limit(limit))
    return [from_row(row) for row in rows]


async def known(connection: AsyncConnection, record_ids: Iterable[str]) -> set[str]:
    """Which of these records exist."""
    wanted = list(record_ids)
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        rows = await connection.execute(select(captures.c.record_id).where(captures.c.record_id.in_(part)))
        found.update(rows.scalars())
    return found


async def delete_older(connection: AsyncConnection, before: datetime, limit: int = 500) -> list[Capture]:
    """Deletes the oldest rows received before then and returns them; the caller removes the files after the commit.

    A device's reference picture stays for as long as it is one. Rows that another process deletes are left to it.
    """
    kept = exists().where(device_quality.c.reference_record_id == captures.c.record_id)
    query = select(*COLUMNS).where(captures.c.received_at < before, ~kept).order_by(captures.c.received_at).limit(limit)
    found = [from_row(row) for row in await connection.execute(query.with_for_update(skip_locked=True))]
    if found:
        seqs = {one.seq for one in found}
        await connection.execute(delete(captures).where(among(connection, captures.c.seq, seqs)))
        newest = await device_states.newest(connection, {one.device_key for one in found})
        for key in [key for key, one in newest.items() if one.seq in seqs]:
            await device_states.set_newest(connection, key, await device_states.find_newest(connection, key))
    return found
