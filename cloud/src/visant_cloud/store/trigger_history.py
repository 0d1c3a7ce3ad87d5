"""What became of the triggers, for people to read: pages and counts. What changes a trigger is in triggers.py."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store.database import unindexed
from visant_cloud.store.tables import triggers
from visant_cloud.store.triggers import COLUMNS, Trigger, from_row


async def page(
    connection: AsyncConnection,
    organisation_id: str,
    device_key: str | None,
    *,
    before: int | None,
    limit: int,
    status: str | None = None,
) -> list[Trigger]:
    """Newest first, of one device or (None) of all; `before` is the seq to go on from."""
    query = select(*COLUMNS).where(triggers.c.organisation_id == organisation_id)
    if device_key is not None:
        query = query.where(triggers.c.device_key == device_key)
    if before is not None:
        query = query.where(triggers.c.seq < before)
    if status is not None:
        query = query.where(triggers.c.status == status)
    rows = await connection.execute(query.order_by(triggers.c.seq.desc()).limit(limit))
    return [from_row(row) for row in rows]


async def counts(
    connection: AsyncConnection, organisation_id: str, since: datetime, device_key: str | None = None
) -> dict[str, dict[str, int]]:
    """device_key -> status -> number of capture triggers made since then."""
    device = unindexed(triggers.c.device_key)
    query = (
        select(device, triggers.c.status, func.count())
        .where(
            triggers.c.created_at >= since,
            triggers.c.kind == "capture",
            unindexed(triggers.c.organisation_id) == organisation_id,
        )
        .group_by(device, triggers.c.status)
    )
    if device_key is not None:
        query = query.where(device == device_key)
    found: dict[str, dict[str, int]] = {}
    for name, status, number in await connection.execute(query):
        found.setdefault(name, {})[status] = number
    return found


async def totals(connection: AsyncConnection, organisation_id: str) -> dict[tuple[str, str], int]:
    """(status, reason) -> number, over everything kept."""
    query = (
        select(triggers.c.status, triggers.c.reason, func.count())
        .where(unindexed(triggers.c.organisation_id) == organisation_id)
        .group_by(triggers.c.status, triggers.c.reason)
    )
    return {(status, reason or ""): number for status, reason, number in await connection.execute(query)}


async def latest(
    connection: AsyncConnection,
    organisation_id: str,
    since: datetime,
    device_key: str | None = None,
    limit: int = 30,
) -> dict[str, list[tuple[str, str | None]]]:
    """device_key -> (status, reason) of its newest capture triggers made since then, oldest of them first."""
    device = unindexed(triggers.c.device_key)
    place = func.row_number().over(partition_by=device, order_by=triggers.c.seq.desc()).label("place")
    inner = select(device.label("device_key"), triggers.c.status, triggers.c.reason, place).where(
        triggers.c.created_at >= since,
        triggers.c.kind == "capture",
        unindexed(triggers.c.organisation_id) == organisation_id,
    )
    if device_key is not None:
        inner = inner.where(device == device_key)
    table = inner.subquery()
    query = select(table).where(table.c.place <= limit).order_by(table.c.device_key, table.c.place.desc())
    found: dict[str, list[tuple[str, str | None]]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.device_key, []).append((row.status, row.reason))
    return found
