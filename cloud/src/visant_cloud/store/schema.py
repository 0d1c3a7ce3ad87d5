"""Brings the database to the current schema, one process at a time, as soon as it is there."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from visant_cloud.database import connection_url, pooler
from visant_cloud.database import trouble as troubles
from visant_cloud.database.engine import DATABASE_ERRORS, Database, first_line
from visant_cloud.store import organisations
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_cloud.store.tables import metadata
from visant_runtime.settings import SettingsError

log = structlog.get_logger()

_ADVISORY_LOCK = 0x7669_7361_6E74  # "visant"; any number that nobody else takes
MIGRATIONS = Path(__file__).parent.parent / "migrations"
HEAD = "0019"
"""The newest of `migrations/versions`: where the database is there already, Alembic need not be loaded."""

_PATIENCE = 60.0
"""Seconds that a database may take to come up beside this process."""
_PAUSE = 2.0
"""Seconds between attempts."""
_POLL = 0.5
"""Seconds between two looks whether another process has brought the database to the schema."""
_SAY_EVERY = 15.0


def _upgrade(connection: Connection) -> None:
    from alembic import command  # a fifth of a short command's time
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate_when_there(url: str) -> tuple[str, str]:
    """Waits for the database, migrates it, and returns its cloud_id and the URL as pooler.py knows it by then.

    Raises SettingsError where it never comes, or where waiting changes nothing.
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
    """Upgrades to the newest schema and returns this database's cloud_id, born here where it is not there yet.

    Raises SettingsError, with one line, for a database that is not ours, or newer, or whose user may not do this.
    """
    try:
        if await revision(database) != HEAD:
            async with _alone(database):
                if await revision(database) != HEAD:  # else another process did it
                    await _upgrade_alone(database)
        return await organisations.cloud_id_of(database, DEFAULT_ORGANISATION)
    except DBAPIError as error:
        trouble = troubles.of(error)
        if trouble is None or trouble.passes:
            raise
        where = connection_url.shown(database.url)
        raise SettingsError(f"DATABASE_URL={where}: {trouble.value} ({first_line(error)[:200]})") from None


async def revision(database: Database) -> str | None:
    """The schema that the database has, of those that this code knows; None: it has none yet.

    Raises SettingsError where it holds another program's tables, or a newer schema.
    """
    async with database.reading() as connection:
        tables = set(await connection.run_sync(lambda plain: inspect(plain).get_table_names()))
        found: list[Any] = []
        if "alembic_version" in tables:
            found = list((await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars())
    if not found:
        ours = sorted(tables & set(metadata.tables))
        if ours:
            raise SettingsError(
                f"DATABASE_URL: another program's database, its table `{ours[0]}` is none of this cloud's: "
                "name an empty database"
            )
        return None
    judged = judge([str(one) for one in found])
    if judged is not None:
        raise SettingsError(judged)
    return str(found[0])


def judge(found: list[str]) -> str | None:
    """Why a database with these revisions cannot be used by this code, in one line; None where it can. Pure."""
    if len(found) == 1 and found[0] in _known():
        return None
    if len(found) == 1 and is_ours(found[0]):
        return (
            f"the database has the schema {found[0]} of a newer release, and this one knows {HEAD}: start the newer "
            "release again, or restore a backup that this one made"
        )
    shown = ", ".join(found)[:100]
    return f"DATABASE_URL: another program's database, its `alembic_version` says {shown!r}: name an empty database"


def is_ours(found: str) -> bool:
    """Whether a revision is written as ours are, of whatever release."""
    return len(found) == len(HEAD) and found.isascii() and found.isdigit()


def _known() -> set[str]:
    return {f"{number:04}" for number in range(1, int(HEAD) + 1)}


async def _upgrade_alone(database: Database) -> None:
    # a table that SQLite makes anew would take what refers to it along; www.sqlite.org/lang_altertable.html, 7
    changing = Database(database.url, foreign_keys=False)
    try:
        if not changing.sqlite:  # a transaction for each step, which Alembic begins: an index may be built outside one
            async with changing.engine.connect() as connection:
                if not connection_url.pooled(database.url):  # there it would stay with whoever comes next
                    await connection.exec_driver_sql("SET statement_timeout = 0")
                    await connection.commit()
                await connection.run_sync(_upgrade)
            return
        async with changing.writing() as connection:
            await connection.run_sync(_upgrade)
            if (await connection.execute(text("PRAGMA foreign_key_check"))).first() is not None:
                raise SettingsError(
                    "DATABASE_URL: rows of this SQLite file name devices that are not there, and the upgrade would "
                    "keep them so; nothing was changed: restore a backup, or delete those rows"
                )
    finally:
        await changing.close()


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[None]:
    """One process at a time. Who waits asks again and again, and holds nothing between.

    A statement that waits for the lock would see the database as it was, and an index that is built beside those who
    write waits for all who do: each would wait for the other for ever. A lock that a transaction holds works behind a
    pooler as well; one that does nothing sees nothing.
    """
    if database.sqlite:
        with open(f"{database.engine.url.database or ''}.migrate.lock", "w") as handle:  # noqa: ASYNC230 - empty
            await asyncio.to_thread(fcntl.flock, handle, fcntl.LOCK_EX)
            yield
        return
    say_at = 0.0
    while True:
        async with database.reading() as connection:
            if (await connection.execute(text(f"SELECT pg_try_advisory_xact_lock({_ADVISORY_LOCK})"))).scalar():
                # a hosting platform's bound would end the transaction, and the lock with it, in the middle of a step
                await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                yield
                return
        if time.monotonic() >= say_at:
            say_at = time.monotonic() + _SAY_EVERY
            log.info("waiting for another process, which brings the database to the newest schema")
        await asyncio.sleep(_POLL)
        if await revision(database) == HEAD:
            yield
            return
