"""The rows of a backup: an SQLite file with the present schema, out of either database and back into either.

One format for both: no version of pg_dump to match, a cloud may move from SQLite to PostgreSQL, and an older backup is
brought to the present schema by the migrations that every cloud runs.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
from sqlalchemy import JSON, Boolean, Column, Connection, Date, Table, create_engine, delete, func, select, text

from visant_cloud.backup.manifest import BackupError
from visant_cloud.captures.storage import PictureName
from visant_cloud.database import connection_url
from visant_cloud.database.column_types import UtcTime
from visant_cloud.database.engine import Database
from visant_cloud.database.json_values import from_json
from visant_cloud.store import device_states, schema
from visant_cloud.store.organisations import CLOUD_ID
from visant_cloud.store.tables import (
    captures,
    enrol_codes,
    event_counter,
    event_notes,
    events,
    invites,
    leases,
    meta,
    metadata,
    processes,
    sessions,
)
from visant_runtime.kill_point import kill_point

LEFT_OUT = (sessions, processes, leases, enrol_codes, invites, event_notes, events, event_counter)
"""Who was signed in, which streams were open, which process did what, codes that may have been used since: none of it
may come back. Nor events, whose numbers readers know: those of a restored cloud begin anew, further on."""
KEPT = [table for table in metadata.sorted_tables if table not in LEFT_OUT]
"""What others refer to comes first."""
COUNTING = [table for table in KEPT if table.dialect_options["sqlite"]["autoincrement"]]
"""Tables that never give a number twice: how far they have counted is kept as well."""
_BATCH = 5000
Beat = Callable[[], None]


async def copy_out(database: Database, target: Path, beat: Beat) -> None:
    """One moment of the database as an SQLite file, while others go on writing.

    Raises BackupError, SettingsError, OSError, or a database's error.
    """
    found = await schema.revision(database)
    if found != schema.HEAD:
        raise BackupError(
            f"the database has schema {found or 'none'}, this release {schema.HEAD}: back up with the release that runs"
        )
    if database.sqlite:
        _vacuum_into(Path(database.engine.url.database or ""), target, beat)
    else:
        await _copy_postgresql(database, target, beat)
    settle(target)


def _vacuum_into(source: Path, target: Path, beat: Beat) -> None:
    """A read transaction: who writes meanwhile is neither seen nor held up. www.sqlite.org/lang_vacuum.html"""
    connection = sqlite3.connect(source, timeout=10, isolation_level=None)
    try:
        connection.set_progress_handler(beat, 100_000)
        connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        raise BackupError(f"the rows cannot be copied to {target} ({error}): is there room?") from None
    finally:
        connection.close()
    with _changing(target) as copy:
        copy.execute("PRAGMA secure_delete=ON")
        for table in LEFT_OUT:
            copy.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our own names


async def _copy_postgresql(database: Database, target: Path, beat: Beat) -> None:
    """One snapshot, read table by table, in values as SQLite holds them: SQLAlchemy's types took 2.5 times the CPU."""
    copy = Database(f"sqlite+aiosqlite:///{target}", foreign_keys=False)
    await schema.migrate(copy)
    await copy.close()
    target.with_name(f"{target.name}.migrate.lock").unlink(missing_ok=True)
    with _changing(target) as into:
        into.execute("PRAGMA synchronous=OFF")  # it is synced as a whole, later
        into.execute("BEGIN")
        for table in reversed(metadata.sorted_tables):
            into.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our own names, here and below
        async with _driver(database) as source, source.transaction(isolation="repeatable_read", readonly=True):
            await source.execute("SET LOCAL statement_timeout = 0")
            for table in KEPT:
                given = ", ".join("?" * len(table.c))
                write = f"INSERT INTO {table.name} ({_names(table)}) VALUES ({given})"  # noqa: S608
                read = f"SELECT {', '.join(map(_as_sqlite_has_it, table.c))} FROM {table.name}"  # noqa: S608
                await source.execute(f"DECLARE rows NO SCROLL CURSOR FOR {read}")
                while part := await source.fetch(f"FETCH {_BATCH} FROM rows"):
                    into.executemany(write, map(tuple, part))
                    beat()
                await source.execute("CLOSE rows")
            for table in COUNTING:
                sequence = await source.fetchval("SELECT pg_get_serial_sequence($1, $2)", table.name, _counter(table))
                last, called = await source.fetchrow(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608
                into.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
                if called:
                    into.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, last))
        into.execute("COMMIT")


@asynccontextmanager
async def _driver(database: Database) -> AsyncIterator[Any]:
    """A connection of the driver itself, without the types of SQLAlchemy; no statement is kept, for a pooler's sake."""
    connection = await asyncpg.connect(**connection_url.connect_args(database.url), statement_cache_size=0)
    try:
        yield connection
    finally:
        await connection.close()


def _names(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.c)


def _counter(table: Table) -> str:
    (column,) = table.primary_key.columns
    return column.name


def _as_sqlite_has_it(column: Column[Any]) -> str:
    """What PostgreSQL is asked for, so that SQLAlchemy reads it from SQLite as it would have read it there."""
    name = f'"{column.name}"'
    match column.type:
        case UtcTime():
            return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        case Date():
            return f"to_char({name}, 'YYYY-MM-DD')"
        case JSON():
            return f"{name}::text"
        case Boolean():
            return f"{name}::int"
    return name


def _as_postgresql_has_it(column: Column[Any]) -> Callable[[Any], Any]:
    match column.type:
        case UtcTime():
            return lambda text: None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
        case Date():
            return lambda text: None if text is None else date.fromisoformat(text)
        case Boolean():
            return lambda number: None if number is None else bool(number)
    return lambda value: value


@contextmanager
def _changing(file: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def settle(file: Path) -> None:
    """One file alone, without a log beside it. Raises sqlite3.Error where somebody else has it open."""
    with _changing(file) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    file.chmod(0o600)


def sync(file: Path) -> None:
    """On the disk when it returns. Raises OSError."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def forget_captures(file: Path, record_ids: list[str]) -> None:
    """Records whose picture is not there any more: a row in a backup always has its picture."""
    copy = Database(f"sqlite+aiosqlite:///{file}")
    try:
        async with copy.writing() as connection:
            keys = set[str]()
            for start in range(0, len(record_ids), 500):
                mine = captures.c.record_id.in_(record_ids[start : start + 500])
                keys.update(
                    (await connection.execute(delete(captures).where(mine).returning(captures.c.device_key))).scalars()
                )
            for key in keys:
                await device_states.set_newest(connection, key, await device_states.find_newest(connection, key))
    finally:
        await copy.close()
    settle(file)


@dataclass(frozen=True)
class StoredPicture:
    """What a record says of its picture."""

    record_id: str
    device_key: str
    received_at: datetime
    sha256: str
    bytes: int
    width: int
    height: int

    @property
    def name(self) -> PictureName:
        """Where it lies, in the cloud and in the backup."""
        return PictureName(self.device_key, self.received_at, self.record_id)


class Rows:
    """The rows of a backup, read only: also on a medium that cannot be written."""

    def __init__(self, file: Path) -> None:
        self._address = address = f"file:{quote(str(file))}?mode=ro&immutable=1"
        self._engine = create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), json_deserializer=from_json
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Raises SQLAlchemy's errors where the file is none of ours."""
        with self._engine.connect() as connection:
            yield connection
        self._engine.dispose()

    def counts(self) -> dict[str, int]:
        """Table -> how many rows."""
        with self.reading() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in KEPT
            }

    def clouds(self) -> dict[str, str]:
        """organisation_id -> cloud_id."""
        with self.reading() as connection:
            found = connection.execute(select(meta.c.organisation_id, meta.c.value).where(meta.c.key == CLOUD_ID))
            return {row.organisation_id: row.value for row in found}

    def captures(self) -> Iterator[StoredPicture]:
        """Every record, the oldest first."""
        columns = [captures.c[name] for name in StoredPicture.__annotations__]
        with self.reading() as connection:
            for row in connection.execution_options(yield_per=_BATCH).execute(
                select(*columns).order_by(captures.c.seq)
            ):
                yield StoredPicture(*row)

    def parts(self, table: Table) -> Iterator[list[dict[str, Any]]]:
        """All rows of one table, some at a time."""
        with self.reading() as connection:
            found = connection.execution_options(yield_per=_BATCH).execute(select(table))
            for part in found.mappings().partitions():
                yield [dict(row) for row in part]

    def raw(self, table: Table) -> Iterator[list[tuple[Any, ...]]]:
        """The same as SQLite holds them."""
        with closing(sqlite3.connect(self._address, uri=True)) as connection:
            found = connection.execute(f"SELECT {_names(table)} FROM {table.name}")  # noqa: S608
            while part := found.fetchmany(_BATCH):
                yield part

    def counted(self, table: Table) -> int | None:
        """How far the table has counted."""
        with self.reading() as connection:
            given = {"name": table.name}
            return connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), given).scalar()


async def copy_in(rows: Rows, database: Database, beat: Beat) -> None:
    """All rows into a PostgreSQL with the present schema, whose own rows go; one transaction, all of it or nothing."""
    async with _driver(database) as target, target.transaction():
        await target.execute("SET LOCAL statement_timeout = 0")
        await target.execute(f"TRUNCATE {', '.join(table.name for table in metadata.sorted_tables)}")
        for table in KEPT:
            names, changes = table.c.keys(), [_as_postgresql_has_it(column) for column in table.c]
            for part in rows.raw(table):
                changed = [tuple(change(value) for change, value in zip(changes, row, strict=True)) for row in part]
                await target.copy_records_to_table(table.name, records=changed, columns=names)
                beat()
        for table in COUNTING:
            sequence = await target.fetchval("SELECT pg_get_serial_sequence($1, $2)", table.name, _counter(table))
            # with the transaction, as setval would not be
            await target.execute(f"ALTER SEQUENCE {sequence} RESTART WITH {(rows.counted(table) or 0) + 1}")
        kill_point("restore_rows")
