"""Brings the database to the current schema, one process at a time."""

import asyncio
import fcntl
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select, text

from visant_cloud.store import tables
from visant_cloud.store.database import Database, insert_new

_ADVISORY_LOCK = 0x7669_7361_6E74  # "visant"; any number that nobody else takes
MIGRATIONS = Path(__file__).parent.parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration without a file; `connection` is what the migrations run on."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


async def migrate(database: Database) -> str:
    """Upgrades to the newest schema and returns this database's cloud_id, born here where it is not there yet."""
    async with _alone(database):
        async with database.writing() as connection:
            await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), "head"))
        async with database.writing() as connection:
            await insert_new(connection, tables.meta, {"key": "cloud_id", "value": secrets.token_hex(16)})
            query = select(tables.meta.c.value).where(tables.meta.c.key == "cloud_id")
            return str((await connection.execute(query)).scalar_one())


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
