"""The schema: migrations and tables agree, and several processes that start at once agree on one cloud."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Date, cast, func, inspect, text
from sqlalchemy.exc import IntegrityError

from tests.integration.cloud.conftest import until
from tests.support.cloud_process import Process
from visant_cloud.database.engine import Database
from visant_cloud.settings import database_url as engine_url
from visant_cloud.store import schedules, slot_days
from visant_cloud.store.schema import HEAD, MIGRATIONS, migrate, revision
from visant_cloud.store.tables import metadata, triggers
from visant_runtime.settings import SettingsError

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


async def upgrade_to(database: Database, wanted: str) -> None:
    """As an earlier release left it."""

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, wanted)

    # each step commits by itself on PostgreSQL, as in store/schema.py: an index is built outside of a transaction
    async with database.writing() if database.sqlite else database.engine.connect() as connection:
        await connection.run_sync(upgrade)


async def test_an_old_database_with_rows_is_brought_to_the_newest_schema(tmp_path: Path, database_url: Any) -> None:
    """A column that may not be null and has no default fits an empty table only."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    database = Database(url)

    await upgrade_to(database, "0001")
    async with database.writing() as connection:
        for table, values in FIRST_ROWS.items():
            await connection.execute(text(f"INSERT INTO {table} VALUES ({values})"))
    assert await migrate(database) == "born-before", "devices know it by this id"
    async with database.reading() as connection:
        for name in ("devices", "triggers", "captures", "operators", "sessions", "api_tokens", "meta"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {name}"))).scalar() == 1, name
        for table in ("api_tokens", "memberships"):  # whoever could do everything still can
            roles = await connection.execute(text(f"SELECT role, group_ids, organisation_id FROM {table}"))
            assert [tuple(row) for row in roles] == [("admin", None, "default")], table
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


async def test_the_slots_of_an_earlier_ledger_are_counted_by_the_upgrade(tmp_path: Path, database_url: Any) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    database = Database(url)
    await upgrade_to(database, "0009")
    made = "'D1', 'capture', 'scheduled', false, '2026-11-22 12:00', '2026-11-22 12:01', '[]', 1"
    columns = "device_key, kind, type, provisional, created_at, expires_at, history, schedule_id, scheduled_for"
    rows = {
        "t1": "'executed', NULL, '2026-11-22 12:00:09'",
        "t2": "'executed', NULL, '2026-11-25 12:00'",
        "t3": "'failed', 'camera_absent', '2026-11-22 12:00:09'",
        "t4": "'sent', NULL, NULL",
    }
    async with database.writing() as connection:
        await connection.execute(
            text(
                "INSERT INTO devices (device_key, device_id, created_at, active, old_client, token_revoked) "
                "VALUES ('D1', 'D1', '2026-11-22 12:00', true, false, false)"
            )
        )
        for number, (name, ended) in enumerate(rows.items()):
            statement = f"INSERT INTO triggers ({columns}, trigger_id, status, reason, ended_at) VALUES ({made}, "
            statement += f"'2026-11-22 12:00:0{number}', '{name}', {ended})"
            await connection.execute(text(statement))
        for name, at in (("t1", "2026-11-22 12:00:09"), ("t2", "2026-11-25 12:00")):
            captured = "record_id, device_key, trigger_id, captured_at, received_at, bytes, width, height, sha256, "
            captured += "thumbnail, metadata) VALUES ("
            values = f"'{name}', 'D1', '{name}', '2026-11-22 12:00', '{at}', 1, 1, 1, 'x', false, '{{}}')"
            await connection.execute(text(f"INSERT INTO captures ({captured}{values}"))
        run = "'D1', '2026-11-22 23:00', '2026-11-23 02:00', 4, 'late', 1"
        missed = "device_key, first_at, last_at, count, reason, schedule_id"
        await connection.execute(text(f"INSERT INTO missed_slots ({missed}) VALUES ({run})"))
    await migrate(database)
    async with database.writing() as connection:
        rows_now = await connection.execute(text("SELECT day, cause, count FROM slot_days ORDER BY day, cause"))
        assert [(str(day), cause, count) for day, cause, count in rows_now] == [
            ("2026-11-22", "failed: camera_absent", 1),
            ("2026-11-22", "late", 1),
            ("2026-11-22", "missed: late", 1),
            ("2026-11-22", "useful", 1),
            ("2026-11-23", "missed: late", 3),
        ]
        now = datetime(2026, 12, 1, tzinfo=UTC)
        day = func.date(triggers.c.created_at, type_=Date) if database.sqlite else cast(triggers.c.created_at, Date)
        assert not await slot_days.recount(connection, "D1", now, day)
    await database.close()


async def test_two_processes_that_migrate_at_once_agree_on_one_cloud_id(tmp_path: Path, database_url: Any) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    databases = [Database(url) for _ in range(4)]
    ids = await asyncio.gather(*(migrate(one) for one in databases))
    for one in databases:
        await one.close()
    assert len(set(ids)) == 1 and len(ids[0]) == 32


async def test_processes_that_start_at_once_on_an_old_database_bring_it_on_once(
    tmp_path: Path, database_url: Any
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    databases = [Database(url) for _ in range(3)]
    await upgrade_to(databases[0], "0001")
    async with databases[0].writing() as connection:
        for table, values in FIRST_ROWS.items():
            await connection.execute(text(f"INSERT INTO {table} VALUES ({values})"))
    assert await asyncio.gather(*(migrate(one) for one in databases)) == ["born-before"] * 3
    assert await revision(databases[0]) == HEAD
    for one in databases:
        await one.close()


# A database that is not ours, or not ours any more


@asynccontextmanager
async def holding(tmp_path: Path, database_url: Any, *statements: str) -> AsyncIterator[Database]:
    """A database in which these were run."""
    database = Database(
        f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    )
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    yield database
    await database.close()


_REVISION = "CREATE TABLE alembic_version (version_num VARCHAR(32))"


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ((_REVISION, "INSERT INTO alembic_version VALUES ('0099')"), "schema 0099 of a newer release"),
        ((_REVISION, "INSERT INTO alembic_version VALUES ('9f3a61c0d2be')"), "says '9f3a61c0d2be': name an empty"),
        ((_REVISION, "INSERT INTO alembic_version VALUES ('0001'), ('abc')"), "says '0001, abc': name an empty"),
        (("CREATE TABLE devices (serial TEXT)",), "its table `devices` is none of this cloud's"),
    ],
)
async def test_a_newer_schema_and_another_programs_database_are_one_line_and_stay_as_they_are(
    tmp_path: Path, database_url: Any, statements: tuple[str, ...], said: str
) -> None:
    async with holding(tmp_path, database_url, *statements) as database:
        with pytest.raises(SettingsError, match=said) as refusal:
            await migrate(database)
        assert "\n" not in str(refusal.value)
        async with database.reading() as connection:
            names = await connection.run_sync(lambda plain: inspect(plain).get_table_names())
        assert len(names) == 1


async def test_tables_of_others_beside_ours_disturb_nobody(tmp_path: Path, database_url: Any) -> None:
    async with holding(tmp_path, database_url, "CREATE TABLE spatial_ref_sys (srid INTEGER)") as database:
        assert len(await migrate(database)) == 32


async def test_a_start_on_a_newer_schema_ends_with_one_line_and_so_does_each_command(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "cloud.db")) as file:
        file.executescript(f"{_REVISION}; INSERT INTO alembic_version VALUES ('0099')")
    one = Process(tmp_path)
    for words in (("run",), ("devices",)):
        done = await asyncio.to_thread(one.run, *words)
        assert done.returncode == 78 and "of a newer release" in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1 and "Traceback" not in done.stdout


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_user_who_may_make_no_tables_is_one_line_that_names_the_remedy(database_url: str) -> None:
    name = f"u{secrets.token_hex(6)}"
    owner = Database(engine_url(database_url))
    async with owner.writing() as connection:
        await connection.execute(text(f"CREATE ROLE {name} LOGIN"))
    await owner.close()
    database = Database(engine_url(database_url.replace("visant@", f"{name}@")))
    with pytest.raises(SettingsError, match=r"GRANT it the tables and their schema.*permission denied for schema"):
        await migrate(database)
    await database.close()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_database_that_takes_no_writes_can_be_started_on(database_url: str) -> None:
    database = Database(engine_url(database_url))
    cloud_id = await migrate(database)
    await database.close()
    database = Database(engine_url(f"{database_url}?options=-c%20default_transaction_read_only%3Don"))
    assert await migrate(database) == cloud_id
    await database.close()


# An index that is built while others write

on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
_INDEX = "ix_missed_slots_last_at"


async def old_database_with_missed_slots(database: Database) -> None:
    await upgrade_to(database, "0006")
    async with database.writing() as connection:
        await connection.execute(
            text(
                "INSERT INTO devices (device_key, device_id, created_at, active, old_client, token_revoked) "
                "VALUES ('D1', 'D1', now(), true, false, false)"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO missed_slots (device_key, last_at, schedule_id, first_at, count, reason) "
                "SELECT 'D1', now() - n * interval '1 min', 1, now(), 1, 'late' FROM generate_series(1, 2000) AS n"
            )
        )


async def valid(database: Database) -> bool | None:
    """Whether the index is; None: it is not there."""
    query = text(f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{_INDEX}')")
    async with database.reading() as connection:
        return (await connection.execute(query)).scalar_one_or_none()


@asynccontextmanager
async def old_writer(database: Database) -> AsyncIterator[None]:
    """A transaction that holds up the build of an index."""
    async with database.writing() as connection:
        await connection.execute(text("UPDATE missed_slots SET count = 2"))
        yield


async def waiting_to_build(database: Database) -> bool:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
    )
    async with database.reading() as connection:
        return bool((await connection.execute(query)).scalar_one())


@on_postgresql
async def test_two_processes_that_start_at_once_on_an_old_database_build_the_index_and_none_waits_for_ever(
    tmp_path: Path, database_url: str
) -> None:
    """Who waited inside a statement would be waited for by the build: both for ever."""
    database = Database(engine_url(database_url))
    await old_database_with_missed_slots(database)
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        both.append(Process(tmp_path / name, DATABASE_URL=database_url, DATA_DIR=str(tmp_path / "shared")))
    starts = []

    async def both_are_in() -> bool:
        return both[1].log.exists() and "waiting for another process" in both[1].log.read_text()

    try:
        async with old_writer(database):
            starts.append(asyncio.create_task(asyncio.to_thread(both[0].start)))
            await until(lambda: waiting_to_build(database))
            starts.append(asyncio.create_task(asyncio.to_thread(both[1].start)))
            await until(both_are_in)
        await asyncio.gather(*starts)
        assert await valid(database) is True
    finally:
        await asyncio.gather(*starts, return_exceptions=True)
        for one in both:
            one.end()
        await database.close()


@on_postgresql
async def test_an_index_whose_build_was_killed_is_built_again_at_the_next_start(database_url: str) -> None:
    database = Database(engine_url(database_url))
    await old_database_with_missed_slots(database)
    async with old_writer(database):
        starting = asyncio.create_task(migrate(database))
        await until(lambda: waiting_to_build(database))
        async with database.reading() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
                )
            )
        with pytest.raises(Exception, match="terminat"):
            await starting
    assert await valid(database) is False
    assert len(await migrate(database)) == 32
    assert await valid(database) is True
    await database.close()
