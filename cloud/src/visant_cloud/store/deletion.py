"""What is left of a device that is deleted, removed piece by piece, from every table that names devices."""

from datetime import datetime
from typing import Any

from sqlalchemy import Table, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.captures.storage import PictureName
from visant_cloud.database.statements import among
from visant_cloud.store import labels, schedules
from visant_cloud.store.tables import captures, device_states, devices, metadata, triggers
from visant_cloud.store.triggers import IS_OPEN

_STAYS = (devices, captures)
"""The row that says that it was deleted; and pictures, whose files go first."""


def tables() -> list[Table]:
    """Those with a row of a device, but for _STAYS, such that what refers to another comes first."""
    return [one for one in reversed(metadata.sorted_tables) if "device_key" in one.c and one not in _STAYS]


async def stop(connection: AsyncConnection, device_key: str, now: datetime) -> None:
    """Nothing is awaited of it any more. The caller deletes it (devices.delete) in the same transaction, after this.

    Its row of `device_states` is the first lock that an outcome or a picture takes: without it neither is kept.
    """
    await connection.execute(delete(device_states).where(device_states.c.device_key == device_key))
    ends = {"status": "expired", "detail": "the device was deleted", "provisional": False, "ended_at": now}
    is_open = triggers.c.device_key == device_key, IS_OPEN
    await connection.execute(update(triggers).where(*is_open).values(**ends))
    await schedules.remove(connection, device_key)
    await labels.leave(connection, [device_key])
    await labels.remove_tags(connection, [device_key])


async def count_pictures(connection: AsyncConnection, device_key: str) -> int:
    """Of a device."""
    query = select(func.count()).select_from(captures).where(captures.c.device_key == device_key)
    return int((await connection.execute(query)).scalar_one())


async def pictures(connection: AsyncConnection, device_key: str, limit: int) -> list[PictureName]:
    """The oldest pictures of a device."""
    query = select(captures.c.received_at, captures.c.record_id).where(captures.c.device_key == device_key)
    rows = await connection.execute(query.order_by(captures.c.seq).limit(limit))
    return [PictureName(device_key, received_at, record_id) for received_at, record_id in rows]


async def remove_pictures(connection: AsyncConnection, device_key: str, record_ids: list[str]) -> None:
    """The rows of pictures whose files are gone."""
    mine = captures.c.device_key == device_key, among(connection, captures.c.record_id, record_ids)
    await connection.execute(delete(captures).where(*mine))


async def remove_rows(connection: AsyncConnection, device_key: str, limit: int) -> int:
    """Some rows of one table; returns how many, 0 when there are no more in any."""
    for table in tables():
        key: Any = [table.c[column.name] for column in table.primary_key]
        some = select(*key).where(table.c.device_key == device_key).limit(limit)
        gone = await connection.execute(delete(table).where(tuple_(*key).in_(some)))
        if gone.rowcount:
            return gone.rowcount
    return 0
