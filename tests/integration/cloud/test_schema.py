"""The schema: migrations and tables agree, and several processes that start at once agree on one cloud."""

import asyncio
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from visant_cloud.settings import database_url as engine_url
from visant_cloud.store.database import Database
from visant_cloud.store.schema import HEAD, MIGRATIONS, migrate
from visant_cloud.store.tables import metadata


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


async def test_two_processes_that_migrate_at_once_agree_on_one_cloud_id(tmp_path: Path, database_url: Any) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    databases = [Database(url) for _ in range(4)]
    ids = await asyncio.gather(*(migrate(one) for one in databases))
    for one in databases:
        await one.close()
    assert len(set(ids)) == 1 and len(ids[0]) == 32
