"""The audit log: who changed what, and who looked at which picture."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store.tables import audit

_BATCH = 1000
_PIECE = 250


@dataclass(frozen=True)
class Record:
    """One row. `before`, `after`: what the change was about, where its handler says so."""

    audit_id: int
    at: datetime
    who: str
    way: str
    address: str | None
    action: str
    object: str
    status: int
    before: Any
    after: Any


_COLUMNS = [audit.c[name] for name in Record.__dataclass_fields__]


@dataclass(frozen=True)
class Wanted:
    """Which records: each that is not None must match."""

    who: str | None = None
    action: str | None = None
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    """Only with a smaller audit_id."""


async def add(connection: AsyncConnection, row: dict[str, Any]) -> int:
    """One record; its audit_id."""
    made = await connection.execute(insert(audit).values(**row).returning(audit.c.audit_id))
    return int(made.scalar_one())


async def add_many(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Records of several requests."""
    if rows:
        await connection.execute(insert(audit), rows)


async def correct(connection: AsyncConnection, found: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """audit_id and row of requests that ended otherwise than was written."""
    for audit_id, row in found:
        await connection.execute(update(audit).where(audit.c.audit_id == audit_id).values(**row))


def _query(organisation_id: str, wanted: Wanted) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [audit.c.organisation_id == organisation_id]
    conditions += [
        audit.c[name] == value for name in ("who", "action", "object") if (value := getattr(wanted, name)) is not None
    ]
    if wanted.since is not None:
        conditions.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.at < wanted.until)
    if wanted.before is not None:
        conditions.append(audit.c.audit_id < wanted.before)
    return select(*_COLUMNS).where(*conditions).order_by(audit.c.audit_id.desc())


async def page(connection: AsyncConnection, organisation_id: str, wanted: Wanted, limit: int) -> list[Record]:
    """The newest first."""
    rows = await connection.execute(_query(organisation_id, wanted).limit(limit))
    return [Record(*row) for row in rows]


async def pages(database: Any, organisation_id: str, wanted: Wanted) -> AsyncIterator[list[Record]]:
    """All of them, newest first, in pieces that each take one short read: no transaction lasts as long as a reader."""
    while True:
        async with database.reading() as connection:
            rows = await page(connection, organisation_id, wanted, _PIECE)
        if rows:
            yield rows
        if len(rows) < _PIECE:
            return
        wanted = Wanted(wanted.who, wanted.action, wanted.object, wanted.since, wanted.until, before=rows[-1].audit_id)


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Deletes records from before then, _BATCH of them. Returns how many."""
    old = select(audit.c.audit_id).where(audit.c.at < before).order_by(audit.c.at).limit(_BATCH)
    return (await connection.execute(delete(audit).where(audit.c.audit_id.in_(old)))).rowcount
