"""The schema: migrations and tables agree, and several processes that start at once agree on one cloud."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from visant_cloud.settings import database_url as engine_url
from visant_cloud.store import schedules
from visant_cloud.store.database import Database
from visant_cloud.store.schema import HEAD, MIGRATIONS, migrate
from visant_cloud.store.tables import metadata

FIRST_ROWS = {
    "meta (key, value)": "'cloud_id', 'born-before'",
    "operators (operator_id, name, password_hash, created_at)": "'o', 'Ada', 'x', '2026-11-22 12:00'",
    "sessions (session_hash, operator_id, csrf, created_at, expires_at)": "'s', 'o', 'c', '2026-11-22 12:00', "
    "'2036-11-22 12:00'",
    "api_tokens (token_hash, name, created_at)": "'h', 'ci', '2026-11-22 12:00'",
    "devices (device_id, created_at, active, old_client, token_revoked, schedule_interval, schedule_next_at)": "'D1', "
    "'2026-11-22 12:00', true, true, false, 60, '2026-11-22 12:01:00.000007'",
    "triggers (device_id, trigger_id, kind, type, status, provisional, created_at, history, scheduled_for)": "'D1', "
    "'t', 'capture', 'scheduled', 'executed', false, '2026-11-22 12:00', '[]', '2026-11-22 12:00'",
    "captures (record_id, device_id, trigger_id, captured_at, received_at, bytes, width, height, sha256, thumbnail, "
    "metadata)": "'r', 'D1', 't', '2026-11-22 12:00', '2026-11-22 12:00', 1, 1, 1, 'x', false, '{}'",
}
"""Rows as the first release wrote them."""


async def test_the_migrations_make_the_schema_that_the_code_uses(start: Any) -> None:
    cloud = await start()
    async with cloud.cloud.database.reading() as connection:

        def differences(sync: Any) -> list[Any]:
            context = MigrationContext.configure(sync, opts={"compare_type": True})
            return list(compare_metadata(context, metadata))

        assert await connection.run_sync(differences) == []


def test_every_table_names_its_organisation() -> None:
    for table in metadata.sorted_tables:
        assert "organisation_id" in table.c and not table.c.organisation_id.nullable, table.name


def test_the_newest_migration_is_the_one_that_a_start_looks_for() -> None:
    versions = sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.py"))
    assert versions[-1] == HEAD


async def test_an_old_database_with_rows_is_brought_to_the_newest_schema(tmp_path: Path, database_url: Any) -> None:
    """A column that may not be null and has no default fits an empty table only."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    database = Database(url)

    def first_schema(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    async with database.writing() as connection:
        await connection.run_sync(first_schema)
        for table, values in FIRST_ROWS.items():
            await connection.execute(text(f"INSERT INTO {table} VALUES ({values})"))
    assert await migrate(database) == "born-before", "devices know it by this id"
    async with database.reading() as connection:
        for name in ("devices", "triggers", "captures", "operators", "sessions", "api_tokens", "meta"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {name}"))).scalar() == 1, name
        keys = await connection.execute(text("SELECT device_key, device_id, organisation_id FROM devices"))
        assert keys.one() == ("D1", "D1", "default")
        schedule = await schedules.find(connection, "D1")
        assert schedule is not None and schedule.interval_seconds == 60
        assert schedule.next_at.replace(tzinfo=None) == datetime(2026, 11, 22, 12, 1, 0, 7)
        assert abs(datetime.now(UTC) - schedule.created_at) < timedelta(hours=1)
    async with database.writing() as connection:
        with pytest.raises(IntegrityError):  # what refers to a device is held to it again
            await connection.execute(text("UPDATE triggers SET device_key = 'nobody'"))
    async with database.writing() as connection:
        assert [one.schedule_id for one in await schedules.due(connection, datetime.now(UTC), 10)] == [1]
    await database.close()


async def test_two_processes_that_migrate_at_once_agree_on_one_cloud_id(tmp_path: Path, database_url: Any) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    databases = [Database(url) for _ in range(4)]
    ids = await asyncio.gather(*(migrate(one) for one in databases))
    for one in databases:
        await one.close()
    assert len(set(ids)) == 1 and len(ids[0]) == 32
