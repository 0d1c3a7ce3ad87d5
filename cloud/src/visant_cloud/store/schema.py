"""Brings the database to the current schema, one process at a time, as soon as it is there."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from visant_cloud.store import organisations, pooler
from visant_cloud.store.database import DATABASE_ERRORS, Database, first_line
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_runtime.settings import SettingsError

log = structlog.get_logger()

_ADVISORY_LOCK = 0x7669_7361_6E74  # "visant"; any number that nobody else takes
MIGRATIONS = Path(__file__).parent.parent / "migrations"
HEAD = "0006"
"""The newest of `migrations/versions`: where the database is there already, Alembic need not be loaded."""

_PATIENCE = 60.0
"""Seconds that a database may take to come up beside this process."""
_PAUSE = 2.0
"""Seconds between attempts."""


def _upgrade(connection: Connection) -> None:
    from alembic import command  # a fifth of a short command's time
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate_when_there(url: str) -> tuple[str, str]:
    """Waits for the database, migrates it, and returns its cloud_id and the URL as pooler.py knows it by then.

    Raises SettingsError where it never comes.
    """
    give_up = time.monotonic() + _PATIENCE
    while True:
        database = None
        try:
            database = Database(await pooler.settled(url))
            return await migrate(database), database.url
        except DATABASE_ERRORS as error:
            reason = first_line(error)[:300]
            if time.monotonic() > give_up or (database is not None and database.sqlite):
                raise SettingsError(
                    f"the database cannot be used ({reason}): check DATABASE_URL and DATA_DIR"
                ) from None
            log.warning("waiting for the database", reason=reason)
            await asyncio.sleep(_PAUSE)
        finally:
            if database is not None:
                await database.close()


async def migrate(database: Database) -> str:
    """Upgrades to the newest schema and returns this database's cloud_id, born here where it is not there yet."""
    if not await _current(database):
        async with _alone(database):
            await _upgrade_alone(database)
    async with database.writing() as connection:
        return await organisations.cloud_id(connection, DEFAULT_ORGANISATION)


async def _upgrade_alone(database: Database) -> None:
    # a table that SQLite makes anew would take what refers to it along; www.sqlite.org/lang_altertable.html, 7
    changing = Database(database.url, foreign_keys=False)
    try:
        async with changing.writing() as connection:
            await connection.run_sync(_upgrade)
            if changing.sqlite and (await connection.execute(text("PRAGMA foreign_key_check"))).first() is not None:
                raise RuntimeError("the upgrade would leave rows whose device is gone; nothing was changed")
    finally:
        await changing.close()


async def _current(database: Database) -> bool:
    try:
        async with database.reading() as connection:
            return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == HEAD
    except SQLAlchemyError:  # no such table yet, or no database: the upgrade says which
        return False


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[None]:
    if not database.sqlite:
        async with database.reading() as connection:
            await connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            try:
                yield
            finally:
                await connection.execute(text(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
        return
    path = database.engine.url.database or ""
    with open(f"{path}.migrate.lock", "w") as handle:  # noqa: ASYNC230 - an empty file
        await asyncio.to_thread(fcntl.flock, handle, fcntl.LOCK_EX)
        yield
