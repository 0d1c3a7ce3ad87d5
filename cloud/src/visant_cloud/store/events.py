"""Events: what happened, numbered so that whoever read up to a number has missed nothing below it.

A sequence that is drawn in a transaction is not in the order of commits: 7 may appear after 8 was read. So a change
writes a note in its own transaction, without a number; the numbers are given afterwards, in batches, to notes that are
committed, by whoever holds the one row of `event_counter`. Batches follow each other: the lock is let go when what was
numbered can be seen. A process that is killed in the middle has numbered nothing, and the next goes on. It works behind
a pooler (nothing outlives a transaction) and on SQLite, which has one writer anyway.

Within a batch the order is that of the notes: what followed from something has the higher number.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Executable, Row, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among, insert_new
from visant_cloud.events.types import Note
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_id_of
from visant_cloud.store.tables import event_counter, event_notes, events

KEEP = 500_000
"""Events that are kept: some 150 MB."""
KEEP_DAYS = 7
BATCH = 500
"""Notes that get their numbers in one transaction."""
_FORGET = 5000
_NAMES = ("type", "organisation_id", "device_key", "at", "data")
_NOTE = insert(event_notes)


@dataclass(frozen=True)
class Event:
    """One row of `events`."""

    event_id: int
    type: str
    organisation_id: str
    device_key: str | None
    at: datetime
    data: dict[str, Any]

    @property
    def device_id(self) -> str | None:
        """As the device's organisation calls it."""
        return None if self.device_key is None else device_id_of(self.device_key)


_COLUMNS = [events.c[name] for name in Event.__dataclass_fields__]


async def note(connection: AsyncConnection, *happened: Note) -> None:
    """In the transaction of the change itself."""
    rows = [vars(one) for one in happened]
    if rows:
        await connection.execute(_NOTE, rows if len(rows) > 1 else rows[0])


class NotedChange:
    """A statement that changes something, and the note of it where it returned a row: one round trip on PostgreSQL.

    `sqlite` and `postgresql`: the same, with RETURNING and all values as named parameters.
    """

    def __init__(self, sqlite: Any, postgres: Any) -> None:
        self.plain: Executable = sqlite
        made = postgres.cte("made")
        named = (bindparam(f"note_{name}", type_=event_notes.c[name].type).label(name) for name in _NAMES)
        row = select(*named).select_from(made)
        told = postgresql.insert(event_notes).from_select(_NAMES, row, include_defaults=False).cte("told")
        self.noting: Executable = select(*made.c).add_cte(told)

    def given(self, values: Mapping[str, Any], happened: Note) -> dict[str, Any]:
        """Parameters of `noting`."""
        return {**values, **{f"note_{name}": getattr(happened, name) for name in _NAMES}}

    async def run(self, connection: AsyncConnection, values: Mapping[str, Any], happened: Note) -> Row[Any] | None:
        """The row that the change returned, if any."""
        if connection.dialect.name != "sqlite":
            return (await connection.execute(self.noting, self.given(values, happened))).one_or_none()
        row = (await connection.execute(self.plain, dict(values))).one_or_none()
        if row is not None:
            await note(connection, happened)
        return row


_LAST = select(event_counter.c.last_id)
_WAITING: Select[Any] = select(select(event_notes.c.note_id).exists(), _LAST.scalar_subquery())


async def look(database: Database) -> tuple[bool, int]:
    """Whether notes wait for their numbers, and the last number that was given; one statement."""
    waiting, last = tuple((await database.read(_WAITING))[0])
    return bool(waiting), int(last or 0)


async def number(connection: AsyncConnection, limit: int = BATCH) -> int | None:
    """Gives the oldest notes their numbers; returns how many. None: another transaction does it just now."""
    last = (await connection.execute(_LAST.with_for_update(skip_locked=True))).scalar()
    if last is None:
        if await _is_there(connection):
            return None
        await _begin(connection)
        return await number(connection, limit)
    old = select(event_notes.c.note_id).order_by(event_notes.c.note_id).limit(limit)
    gone = delete(event_notes).where(event_notes.c.note_id.in_(old)).returning(*event_notes.c)
    rows = sorted((await connection.execute(gone)).mappings(), key=lambda row: int(row["note_id"]))
    if not rows:
        return 0
    numbered = [{name: row[name] for name in _NAMES} | {"event_id": last + n} for n, row in enumerate(rows, 1)]
    await connection.execute(insert(events), numbered)
    await connection.execute(update(event_counter).values(last_id=last + len(rows)))
    return len(rows)


async def _is_there(connection: AsyncConnection) -> bool:
    return (await connection.execute(_LAST)).scalar() is not None


async def _begin(connection: AsyncConnection) -> None:
    """The first number is the time, in milliseconds: a cloud that was put back to a backup, which has no events, gives
    none of those again that its readers know. Below 2**53, so that a JavaScript number holds it."""
    first = {"organisation_id": DEFAULT_ORGANISATION, "last_id": int(time.time() * 1000)}
    await insert_new(connection, event_counter, first)


async def after(database: Database, event_id: int, limit: int) -> list[Event]:
    """Of every organisation, in order; nobody who reads pages of numbers scans for an organisation that has few."""
    query = select(*_COLUMNS).where(events.c.event_id > event_id).order_by(events.c.event_id).limit(limit)
    return [Event(**row._asdict()) for row in await database.read(query)]


async def oldest(database: Database) -> int | None:
    """The lowest number that is kept; None where none is."""
    found: int | None = (await database.read(select(func.min(events.c.event_id))))[0][0]
    return found


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Deletes events from before then, the lowest numbers first and never one in between. Returns how many."""
    first = select(events.c.event_id, events.c.at).order_by(events.c.event_id).limit(_FORGET)
    gone: list[int] = []
    for event_id, at in await connection.execute(first):
        if at >= before:
            break
        gone.append(event_id)
    await _delete(connection, gone)
    return len(gone)


async def forget_beyond(connection: AsyncConnection, keep: int = KEEP) -> int:
    """Deletes the lowest numbers where more than `keep` are there, some at a time. Returns how many."""
    last = (await connection.execute(_LAST)).scalar() or 0
    query = select(events.c.event_id).where(events.c.event_id <= last - keep)
    gone = list((await connection.execute(query.order_by(events.c.event_id).limit(_FORGET))).scalars())
    await _delete(connection, gone)
    return len(gone)


async def _delete(connection: AsyncConnection, event_ids: Sequence[int]) -> None:
    if event_ids:
        await connection.execute(delete(events).where(among(connection, events.c.event_id, event_ids)))
