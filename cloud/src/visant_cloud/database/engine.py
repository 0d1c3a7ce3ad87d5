"""Connections: short reads and short writes, on SQLite and PostgreSQL alike."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Connection, Executable, Row, event, func, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import QueuePool

from visant_cloud.database import connection_url
from visant_cloud.database.json_values import from_json, to_json


class DatabaseAway(SQLAlchemyError):
    """It cannot be reached, or does not answer in time; the text says why."""


DATABASE_ERRORS = (SQLAlchemyError, OSError, TimeoutError)
"""What reads and writes raise where the database refuses, is away or does not answer in time (trouble.py)."""
_WRITE = "visant_write"
_SINCE = "visant_since"
_YOUNG = 5.0
"""Seconds since a connection was made."""

_NO_STATEMENT_IS_KEPT = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,  # the unnamed one
}
"""For a pooler in transaction mode: a prepared statement is at one server, the next transaction at another."""
_SINGLE: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
    "pool_size": 4,
    "max_overflow": 0,
    "pool_timeout": 10,
}
"""An engine for single statements: without the round trips of BEGIN, ROLLBACK and the ping before."""


class Rider(Protocol):
    """Rows that belong to whatever the present task writes: in the same transaction, or not at all."""

    async def ride(self, connection: AsyncConnection) -> None:
        """Writes them, as the last of the transaction."""

    def arrived(self) -> None:
        """The transaction is committed."""


RIDER: ContextVar[Rider | None] = ContextVar("rider", default=None)
"""Of the request that this task answers (access/audit.py)."""


class Database:
    """One engine. `reading` and `writing` give a connection in a transaction; hold it briefly, never in a stream.

    `foreign_keys`: False for what makes SQLite's tables anew (migrations); PostgreSQL always heeds them.
    """

    def __init__(self, url: str, *, foreign_keys: bool = True) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        json = {"json_serializer": to_json, "json_deserializer": from_json}
        if self.sqlite:
            self.engine = create_async_engine(url, **json)
            self.single = create_async_engine(url, **json, **_SINGLE)
            for engine in (self.engine, self.single):
                event.listen(engine.sync_engine, "connect", partial(_prepare_sqlite, foreign_keys))
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        else:
            address = "postgresql+asyncpg://"
            given = connection_url.connect_args(url) | {"async_creator_fn": _connect}
            pooled = connection_url.pooled(url)
            self.engine = create_async_engine(
                address,
                connect_args=given | (_NO_STATEMENT_IS_KEPT if pooled else {}),
                **json,
                pool_size=10,
                max_overflow=10,
                pool_pre_ping=not pooled,  # it asks outside a transaction, where each step may reach another server
                pool_timeout=10,
            )
            bounds = {"timeout": 5, "command_timeout": 10}
            self.single = (  # behind a pooler a statement needs its transaction, for the same reason
                self.engine
                if pooled
                else create_async_engine(address, connect_args=bounds | given, **json, **(_SINGLE | {"pool_size": 8}))
            )
            for engine in {self.engine, self.single}:
                event.listen(engine.sync_engine, "connect", _note_age)
                event.listen(engine.sync_engine, "handle_error", _leave_a_standby)
        self.written = asyncio.Event()
        """Set after each commit of this process; who waits for changes clears it."""
        # SQLite's own wait for its writer is a sleep loop without order; a lock is a queue
        self._writer: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.sqlite else nullcontext()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads."""
        async with self.engine.connect() as connection:
            yield connection

    async def read(self, statement: Executable, given: dict[str, Any] | None = None) -> Sequence[Row[Any]]:
        """The rows of one statement that reads, outside any transaction: half the cost of `reading`.

        Asked again, once, on a new connection where the one from the pool has gone: the server may have restarted.
        """
        try:
            return await self._read(statement, given)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._read(statement, given)

    async def _read(self, statement: Executable, given: dict[str, Any] | None) -> Sequence[Row[Any]]:
        async with self.single.connect() as connection:
            try:
                return (await connection.execute(statement, given)).all()
            except TimeoutError:
                raise DatabaseAway("no answer within 10 s") from None

    async def write(self, statement: Executable, given: dict[str, Any]) -> Sequence[Row[Any]]:
        """The rows that one statement returns which changes something and commits by itself: a third of `writing`.

        Run again as by `read`: the statement must be one that changes nothing the second time.
        """
        if self.single is self.engine:  # behind a pooler
            async with self.writing() as connection:
                return (await connection.execute(statement, given)).all()
        async with self._writer:
            rows = await self.read(statement, given)
        self.written.set()
        return rows

    @asynccontextmanager
    async def writing_alone(self) -> AsyncIterator[AsyncConnection]:
        """As `writing`, for a single statement."""
        if self.single is self.engine:
            async with self.writing() as connection:
                yield connection
        else:
            async with self._writer, self.single.connect() as connection:
                yield connection
            self.written.set()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end of the block and rolls back when the block raises."""
        async with self._writer, self.engine.connect() as plain:
            connection = await plain.execution_options(**{_WRITE: True})
            rider = RIDER.get()
            async with connection.begin():
                yield connection
                if rider is not None:
                    await rider.ride(connection)
            if rider is not None:
                rider.arrived()
        self.written.set()

    async def now(self) -> datetime | None:
        """PostgreSQL's clock, often another machine's; None on SQLite, or where it does not answer."""
        if self.sqlite:
            return None
        try:
            async with asyncio.timeout(3):
                rows = await self.read(select(func.clock_timestamp()))
        except DATABASE_ERRORS:
            return None
        found: datetime = rows[0][0]
        return found.astimezone(UTC)

    def connections_in_use(self) -> int:
        """Of both pools."""
        pools = {id(engine.pool): engine.pool for engine in (self.engine, self.single)}
        return sum(pool.checkedout() for pool in pools.values() if isinstance(pool, QueuePool))

    async def close(self) -> None:
        """Gives every connection back."""
        await self.engine.dispose()
        await self.single.dispose()


def first_line(error: Exception) -> str:
    """What an error says without statement and class that SQLAlchemy adds, or its kind: a TimeoutError says nothing."""
    said = str(error.orig) if isinstance(error, DBAPIError) and error.orig is not None else str(error)
    return re.sub("^<class '[^']*'>: ", "", said).partition("\n")[0] or type(error).__name__


async def _connect(**given: Any) -> Any:
    try:
        return await asyncpg.connect(**given)
    except TimeoutError:
        raise DatabaseAway(f"no connection within {given['timeout']:.0f} s") from None
    except OSError as error:  # refused, no such name, no way there, TLS
        raise DatabaseAway(f"no connection: {error}") from error


def _note_age(connection: Any, record: Any) -> None:
    record.info[_SINCE] = time.monotonic()


def _leave_a_standby(context: ExceptionContext) -> None:
    """After a failover the pool is full of connections to what is a standby now, and no error ends one of them.

    So one that is refused a write counts as lost, and the others of its time with it: the next goes where DATABASE_URL
    leads by then. A young one was led there just now: the database itself takes no writes.
    """
    if getattr(context.original_exception, "sqlstate", None) != "25006" or context.connection is None:
        return
    if time.monotonic() - context.connection.info.get(_SINCE, 0.0) >= _YOUNG:
        context.is_disconnect = True


def _prepare_sqlite(foreign_keys: bool, connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", f"foreign_keys={int(foreign_keys)}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # a transaction that reads first and writes later is refused at once when another wrote between; IMMEDIATE waits
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
