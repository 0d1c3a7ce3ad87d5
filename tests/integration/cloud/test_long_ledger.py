"""A ledger of years: what is asked all the time does not read all of it."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, bindparam, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.settings import database_url as engine_url
from visant_cloud.store import captures, devices, trigger_history, triggers
from visant_cloud.store.database import Database
from visant_cloud.store.schema import MIGRATIONS, migrate
from visant_cloud.store.tables import UtcTime

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)

Query = Callable[[AsyncConnection], Awaitable[Any]]

QUERIES: dict[str, Query] = {
    "what a stream sends": lambda connection: triggers.waiting(connection, "D1", 0, NOW, 100),
    "triggers of a day": lambda connection: trigger_history.counts(connection, "default", NOW - DAY),
    "triggers of a day, one device": lambda connection: trigger_history.counts(connection, "default", NOW - DAY, "D1"),
    "strips": lambda connection: trigger_history.latest(connection, "default", NOW - DAY),
    "strip of one device": lambda connection: trigger_history.latest(connection, "default", NOW - DAY, "D1"),
    "pictures of a day": lambda connection: captures.counts(connection, "default", NOW - DAY),
    "pictures of a day, one device": lambda connection: captures.counts(connection, "default", NOW - DAY, "D1"),
    "newest pictures": lambda connection: captures.newest(connection, "default"),
    "too old pictures": lambda connection: captures.delete_older(connection, NOW - 400 * DAY),
    "silent triggers": lambda connection: triggers.expire_silent(connection, NOW, NOW),
}


@pytest.fixture
async def sqlite(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(sqlite_template, tmp_path / "cloud.db")
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'cloud.db'}")
    yield database
    await database.close()


async def plan(database: Database, query: Query) -> list[str]:
    """The steps SQLite takes; without statistics (the cloud gathers none) they are the same for every size."""
    ran: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *others: Any) -> None:
        ran.append((statement, parameters))

    async with database.writing() as connection:
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        await query(connection)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        (statement, parameters) = ran[0]
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in rows]


@pytest.mark.parametrize("name", QUERIES)
async def test_no_query_of_every_day_reads_all_that_was_ever_kept(sqlite: Database, name: str) -> None:
    steps = await plan(sqlite, QUERIES[name])
    assert [step for step in steps if step.startswith(("SCAN triggers", "SCAN captures"))] == [], steps


@pytest.mark.parametrize("name", [name for name in QUERIES if "day" in name or "strip" in name])
async def test_what_happened_in_a_day_is_found_by_its_time(sqlite: Database, name: str) -> None:
    steps = await plan(sqlite, QUERIES[name])
    assert any("_at (" in step for step in steps), steps


async def test_a_stream_that_has_sent_nothing_reads_open_triggers_only(sqlite: Database) -> None:
    (step,) = await plan(sqlite, QUERIES["what a stream sends"])
    assert step.startswith("SEARCH triggers USING INDEX ix_triggers_open (device_key=? AND seq>?)")


async def test_totals_are_counted_in_an_index_and_not_sorted(sqlite: Database) -> None:
    assert await plan(sqlite, lambda connection: trigger_history.totals(connection, "default")) == [
        "SCAN triggers USING INDEX ix_triggers_status_reason"
    ]


async def received(connection: AsyncConnection, device_key: str, record_id: str, at: datetime) -> None:
    values = {"device_key": device_key, "record_id": record_id, "captured_at": at, "received_at": at, "sha256": ""}
    assert await captures.add(connection, {**values, "bytes": 1, "width": 1, "height": 1, "metadata": {}})


async def test_counts_strips_and_newest_are_of_each_device(start: Any) -> None:
    cloud = await start()
    async with cloud.cloud.database.writing() as connection:
        for device_id in ("D1", "D2", "D3"):
            await devices.create(connection, device_id, NOW)
        for device_id, age in (("D1", 2.0), ("D1", 0.2), ("D1", 0.1), ("D2", 3.0), ("D2", 0.3)):
            made, _ = await triggers.create(connection, device_id, NOW - age * DAY, 60.0)
            if age == 0.1:
                await triggers.captured(connection, device_id, made.trigger_id, NOW, "manual")
            await received(connection, device_id, f"{device_id}-{age}", NOW - age * DAY)
    async with cloud.cloud.database.reading() as connection:
        since = NOW - DAY
        assert await trigger_history.counts(connection, "default", since) == {
            "D1": {"pending": 1, "executed": 1},
            "D2": {"pending": 1},
        }
        assert await trigger_history.counts(connection, "default", since, "D2") == {"D2": {"pending": 1}}
        d1 = {"D1": [("pending", None), ("executed", None)]}
        assert await trigger_history.latest(connection, "default", since) == {**d1, "D2": [("pending", None)]}
        assert await trigger_history.latest(connection, "default", since, "D1") == d1
        assert await trigger_history.latest(connection, "default", since, "D1", limit=1) == {"D1": [("executed", None)]}
        assert await trigger_history.totals(connection, "default") == {("pending", ""): 4, ("executed", ""): 1}
        assert await captures.counts(connection, "default", since) == {"D1": 2, "D2": 1}
        assert await captures.counts(connection, "default", since, "D2") == {"D2": 1}
        assert await captures.counts(connection, "default", since, "D3") == {}
        newest = await captures.newest(connection, "default")
        assert {device: one.record_id for device, one in newest.items()} == {"D1": "D1-0.1", "D2": "D2-0.3"}


_OLD_TRIGGER = (
    "triggers (device_id, trigger_id, kind, type, status, provisional, created_at, expires_at, history)"  # of 0002
)


async def test_a_ledger_of_an_earlier_version_moves_on_with_its_rows(tmp_path: Path, database_url: str | None) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'c.db'}" if database_url is None else engine_url(database_url)
    database = Database(url)

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")

    async with database.writing() as connection:
        await connection.run_sync(upgrade)
        for row in (
            "devices (device_id, created_at, active, old_client, token_revoked) "
            "VALUES ('D1', :now, true, false, false)",
            f"{_OLD_TRIGGER} VALUES ('D1', 'ended', 'capture', 'manual', 'executed', false, :now, :then, '[]')",
            f"{_OLD_TRIGGER} VALUES ('D1', 'waits', 'capture', 'manual', 'pending', false, :now, :then, '[]')",
        ):
            named = text(f"INSERT INTO {row}").bindparams(
                *(bindparam(name, type_=UtcTime) for name in ("now", "then") if f":{name}" in row)
            )
            await connection.execute(named, {"now": NOW, "then": NOW + timedelta(seconds=60)})
    await migrate(database)
    async with database.reading() as connection:
        (waits,) = await triggers.waiting(connection, "D1", 0, NOW, 10)
        assert (waits.trigger_id, waits.device_key, waits.device_id) == ("waits", "D1", "D1")
        assert await trigger_history.totals(connection, "default") == {("pending", ""): 1, ("executed", ""): 1}
        found = await connection.run_sync(lambda sync: inspect(sync).get_indexes("triggers"))
        assert {"ix_triggers_open", "ix_triggers_status_reason"} <= {index["name"] for index in found}
    await database.close()
