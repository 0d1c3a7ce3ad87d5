"""Does a pooler in transaction mode stand before PostgreSQL (pgbouncer, the "pooled" address of a hosting platform)?

There each transaction may run at another server connection, and what was prepared at one is unknown at the next. A
pooler does not say so; but a prepared statement is lost as soon as another client holds the server connection.
"""

import asyncio

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from visant_cloud.database import connection_url

log = structlog.get_logger()

_PATIENCE = 5.0
"""Seconds: a pooler whose only server connection is held lets the other client wait."""


async def settled(url: str) -> str:
    """The URL, with `pgbouncer=true` where a pooler that keeps no prepared statements answers there.

    Raises what `Database` raises (DATABASE_ERRORS).
    """
    if not url.startswith("postgresql") or connection_url.pooled(url):
        return url
    try:
        if not await _loses_statements(url):
            return url
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError(None, None, error) from error
    log.info("DATABASE_URL leads to a pooler in transaction mode: no prepared statements are kept")
    return connection_url.as_pooled(url)


async def _loses_statements(url: str) -> bool:
    given = connection_url.connect_args(url)
    one = await asyncpg.connect(**given)
    try:
        other = await asyncpg.connect(**given)
        try:
            return await _moved(one, other)
        finally:
            await _end(other)
    finally:
        await _end(one)


async def _moved(one: asyncpg.Connection, other: asyncpg.Connection) -> bool:
    """Whether `one` finds its statement no more while `other` is in a transaction."""
    try:
        async with asyncio.timeout(_PATIENCE):
            async with one.transaction():
                prepared = await one.prepare("SELECT 1", name="visant_pooler_probe")
            async with other.transaction():
                await other.execute("SELECT 1")  # it takes the server connection that `one` gave back
                async with one.transaction():
                    await prepared.fetchval()
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError, TimeoutError):
        return True
    return False


async def _end(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=_PATIENCE)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
