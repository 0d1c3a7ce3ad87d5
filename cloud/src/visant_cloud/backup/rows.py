"""The rows of a backup: an SQLite file with the present schema, out of either database and back into either.

One format for both: no version of pg_dump to match, a cloud may move from SQLite to PostgreSQL, and an older backup is
brought to the present schema by the migrations that every cloud runs.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Table, create_engine, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.backup.manifest import BackupError
from visant_cloud.captures.storage import PictureName
from visant_cloud.store import device_states, schema
from visant_cloud.store.database import Database, from_json
from visant_cloud.store.organisations import CLOUD_ID
from visant_cloud.store.tables import captures, enrol_codes, meta, metadata, processes, sessions
from visant_runtime.kill_point import kill_point

LEFT_OUT = (sessions, processes, enrol_codes)
"""Who was signed in, which streams were open, codes that may have been used since: none of it may come back."""
KEPT = [table for table in metadata.sorted_tables if table not in LEFT_OUT]
"""What others refer to comes first."""
COUNTING = [table for table in KEPT if table.dialect_options["sqlite"]["autoincrement"]]
"""Tables that never give a number twice: how far they have counted is kept as well."""
_BATCH = 1000
Beat = Callable[[], None]


async def copy_out(database: Database, target: Path, beat: Beat) -> None:
    """One moment of the database as an SQLite file, while others go on writing. Raises BackupError, OSError."""
    found = await revision(database)
    if found != schema.HEAD:
        raise BackupError(
            f"the database has schema {found or 'none'}, this release {schema.HEAD}: back up with the release that runs"
        )
    if database.sqlite:
        _vacuum_into(Path(database.engine.url.database or ""), target, beat)
    else:
        await _copy_postgresql(database, target, beat)
    settle(target)


async def revision(database: Database) -> str | None:
    """The schema that the database has; None: none of ours."""
    async with database.reading() as connection:
        names = await connection.run_sync(lambda one: one.dialect.get_table_names(one))
        if "alembic_version" not in names:
            return None
        return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()


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
    copy = Database(f"sqlite+aiosqlite:///{target}", foreign_keys=False)
    try:
        await schema.migrate(copy)
        async with database.engine.connect() as plain, copy.writing() as into:
            await _empty(into)
            snapshot = await plain.execution_options(isolation_level="REPEATABLE READ")
            await snapshot.execute(text("SET TRANSACTION READ ONLY"))
            await snapshot.execute(text("SET LOCAL statement_timeout = 0"))
            for table in KEPT:
                found = await snapshot.stream(select(table))
                async for part in found.mappings().partitions(_BATCH):
                    await into.execute(insert(table), [dict(row) for row in part])
                    beat()
            for table in COUNTING:
                name = (await snapshot.execute(_SEQUENCE, _sequence(table))).scalar_one()
                counted = (await snapshot.execute(text(f"SELECT last_value, is_called FROM {name}"))).one()  # noqa: S608
                if counted.is_called:
                    await _set_counted(into, table, counted.last_value)
    finally:
        await copy.close()
    target.with_name(f"{target.name}.migrate.lock").unlink(missing_ok=True)


_SEQUENCE = text("SELECT pg_get_serial_sequence(:name, :column)")


def _sequence(table: Table) -> dict[str, str]:
    (column,) = table.primary_key.columns
    return {"name": table.name, "column": column.name}


async def _empty(connection: AsyncConnection) -> None:
    for table in reversed(metadata.sorted_tables):
        await connection.execute(delete(table))


async def _set_counted(connection: AsyncConnection, table: Table, last: int) -> None:
    await connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
    given = {"name": table.name, "last": last}
    await connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), given)


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
        address = f"file:{quote(str(file))}?mode=ro&immutable=1"
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

    def counted(self, table: Table) -> int | None:
        """How far the table has counted."""
        with self.reading() as connection:
            given = {"name": table.name}
            return connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), given).scalar()


async def copy_in(rows: Rows, database: Database, beat: Beat) -> None:
    """All rows into a PostgreSQL with the present schema, whose own rows go; one transaction, all of it or nothing."""
    async with database.writing() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        names = ", ".join(table.name for table in metadata.sorted_tables)
        await connection.execute(text(f"TRUNCATE {names}"))
        for table in KEPT:
            for part in rows.parts(table):
                await connection.execute(insert(table), part)
                beat()
        for table in COUNTING:
            name = (await connection.execute(_SEQUENCE, _sequence(table))).scalar_one()
            # with the transaction, as setval would not be
            await connection.execute(text(f"ALTER SEQUENCE {name} RESTART WITH {(rows.counted(table) or 0) + 1}"))
        kill_point("restore_rows")
