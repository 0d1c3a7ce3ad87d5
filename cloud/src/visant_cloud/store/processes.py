"""The cloud's processes on one PostgreSQL: who lives, and which streams each holds. Times are the database's."""

from datetime import timedelta

from sqlalchemy import delete, func, literal, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store.tables import processes


async def tell(connection: AsyncConnection, process_id: str, streams: dict[str, int], forget: timedelta) -> None:
    """This process lives and holds `streams` (device_key -> number); rows silent for `forget` are removed."""
    row = postgresql.insert(processes).values(process_id=process_id, seen_at=func.now(), streams=streams)
    fresh = {"seen_at": func.now(), "streams": streams}
    await connection.execute(row.on_conflict_do_update(index_elements=["process_id"], set_=fresh))
    await connection.execute(delete(processes).where(processes.c.seen_at < func.now() - literal(forget)))


async def others(connection: AsyncConnection, process_id: str, alive: timedelta) -> dict[str, int]:
    """device_key -> open streams, over all other processes heard of within `alive`."""
    query = select(processes.c.streams).where(
        processes.c.process_id != process_id, processes.c.seen_at > func.now() - literal(alive)
    )
    found: dict[str, int] = {}
    for (streams,) in await connection.execute(query):
        for device_key, count in streams.items():
            found[device_key] = found.get(device_key, 0) + count
    return found


async def leave(connection: AsyncConnection, process_id: str) -> None:
    """This process holds nothing any more."""
    await connection.execute(delete(processes).where(processes.c.process_id == process_id))
