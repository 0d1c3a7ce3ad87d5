"""Work that one process does at a time, for as long as it lives. Times are the database's."""

from datetime import timedelta

from sqlalchemy import delete, func, literal
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.store.tables import leases


async def hold(database: Database, name: str, holder: str, length: timedelta) -> bool:
    """Takes or renews the lease `name`; False where another process has it. On SQLite there is one process."""
    if database.sqlite:
        return True
    until = func.now() + literal(length)
    row = postgresql.insert(leases).values(name=name, holder=holder, until=until)
    mine = row.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": holder, "until": until},
        where=(leases.c.holder == holder) | (leases.c.until < func.now()),
    ).returning(leases.c.holder)
    async with database.writing_alone() as connection:
        return (await connection.execute(mine)).first() is not None


async def let_go(connection: AsyncConnection, name: str, holder: str) -> None:
    """Another process may have it at once."""
    await connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
