"""A ledger of years: what is asked all the time does not read all of it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, bindparam, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.not_none import not_none
from visant_cloud.alerts.engine import Cleared, Key
from visant_cloud.database.column_types import UtcTime
from visant_cloud.database.engine import Database
from visant_cloud.settings import database_url as engine_url
from visant_cloud.store import (
    alerts,
    captures,
    counters,
    deliveries,
    device_states,
    devices,
    fleet,
    ledger,
    slot_days,
    stream_reads,
    trigger_creation,
    trigger_history,
    trigger_outcomes,
    triggers,
)
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.device_states import DeviceState
from visant_cloud.store.ledger import Place, Wanted
from visant_cloud.store.schema import MIGRATIONS, migrate
from visant_cloud.store.scope import Scope
from visant_contract.outcome import OutcomeReport, Reason

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TODAY = NOW.date()

Query = Callable[[AsyncConnection], Awaitable[Any]]


async def one_picture(connection: AsyncConnection) -> None:
    await received(connection, "D1", "new", NOW)
    await trigger_outcomes.captured(connection, "D1", "sent", NOW, "manual")


FAILED = OutcomeReport(status="failed", reason=Reason.CAMERA_ABSENT)
CAMERA_WELL = Cleared(Key("default", "D1", "camera"))
KEPT = ("triggers", "captures", "alerts", "deliveries", "slot_days")
OPEN = ("ix_triggers_open", "ix_alerts_not_done", "ix_deliveries_next_at")
"""Of what is under way alone, which is little."""
QUERIES: dict[str, Query] = {
    "what streams are sent": lambda connection: connection.execute(
        *stream_reads.waiting_statement(connection.dialect.name == "sqlite", [("D1", 0)], NOW, 50, 2000)
    ),
    "what streams have sent": lambda connection: triggers.mark_sent(connection, range(1, 50), NOW),
    "who was seen": lambda connection: device_states.mark_seen(connection, ["D1"], NOW),
    "settings that are no more": lambda connection: triggers.end_settings(connection, "D1", NOW),
    "a picture comes": one_picture,
    "an outcome comes": lambda connection: trigger_outcomes.reported(connection, "D1", "sent", FAILED, NOW),
    "silent triggers": lambda connection: trigger_outcomes.expire_silent(connection, NOW, NOW),
    "too old pictures": lambda connection: captures.delete_older(connection, NOW - 400 * DAY),
    "the fleet": lambda connection: fleet.page(connection, Scope(), TODAY, {"D1": 1}, fleet.Wish(words="d")),
    "the fleet's open triggers": lambda connection: trigger_history.under_way(connection, Scope()),
    "the fleet's newest triggers": lambda connection: trigger_history.page(
        connection, Scope(), None, before=None, limit=20
    ),
    "totals": lambda connection: counters.totals(connection, "default"),
    "a device": lambda connection: device_states.find(connection, "D1"),
    "a device's days": lambda connection: counters.since(connection, "D1", TODAY),
    "a device's open triggers": lambda connection: trigger_history.under_way(connection, Scope(), "D1"),
    "a device's newest triggers": lambda connection: trigger_history.page(
        connection, Scope(), "D1", before=10**6, limit=50
    ),
    "the ledger of all devices": lambda connection: ledger.page(
        connection, Wanted(since=NOW - DAY, until=NOW, type="manual"), Place(NOW, 99), 50
    ),
    "the ledger of a device": lambda connection: ledger.page(
        connection, Wanted(ChosenDevices(keys=("D1",)), status="executed"), Place(NOW, 99), 50
    ),
    "what went wrong": lambda connection: ledger.page(connection, Wanted(reason="camera_absent"), None, 50),
    "gaps of slots": lambda connection: ledger.page(connection, Wanted(slots=True, gaps=True), None, 50),
    "the slots of a week": lambda connection: slot_days.causes(connection, "default", TODAY - 7 * DAY, TODAY, None),
    "the worst devices of a week": lambda connection: slot_days.shares(
        connection, "default", TODAY - 7 * DAY, TODAY, None, "device", 20
    ),
    "a device's newest pictures": lambda connection: captures.page(connection, Scope(), device_key="D1"),
    "alerts of a round": lambda connection: alerts.not_done_locked(connection),
    "alerts that are over": lambda connection: alerts.clear_alerts(connection, [CAMERA_WELL], NOW),
    "open alerts": lambda connection: alerts.page(connection, Scope(), which="open"),
    "what needs a person": lambda connection: alerts.open_first(connection, Scope(), 200),
    "what is open of a device": lambda connection: alerts.open_first(connection, Scope(), 200, "D1"),
    "the newest alerts": lambda connection: alerts.page(connection, Scope(), limit=20),
    "since when alerts are open": lambda connection: alerts.open_since(connection, "default"),
    "messages to be sent": lambda connection: deliveries.claim(connection, NOW, DAY, DAY, 20),
    "a channel's log": lambda connection: deliveries.log_of(connection, 1, None, 20),
}


@pytest.fixture
async def long_ledger(start: Any) -> Database:
    """With one of each kind: what finds nothing asks less."""
    database: Database = (await start()).cloud.database
    async with database.writing() as connection:
        await devices.create(connection, "D1", NOW)
        for trigger_id in ("sent", "silent"):
            await trigger_creation.create(connection, "D1", NOW - DAY, 60.0)
            await connection.execute(
                text("UPDATE triggers SET trigger_id = :id, status = 'sent' WHERE trigger_id LIKE 'manual_%'"),
                {"id": trigger_id},
            )
        await received(connection, "D1", "old", NOW - 500 * DAY)
        if not database.sqlite:  # of an empty table every index costs the same: it must see that few are open
            await connection.execute(text(_ENDED), {"now": NOW})
            await connection.execute(text("ANALYZE triggers"))
    return database


_ENDED = (
    "INSERT INTO triggers (device_key, trigger_id, kind, type, status, provisional, created_at, expires_at, ended_at,"
    " history) SELECT 'D1', n, 'capture', 'manual', 'executed', false, t, t, t, '[]' FROM"
    " (SELECT n, CAST(:now AS timestamptz) - n * interval '1 min' AS t FROM generate_series(1, 500) AS n) AS made"
)


async def plan(database: Database, query: Query) -> list[str]:
    """The steps that the database takes, of every statement, for a table of any size.

    SQLite, which has no statistics here, always takes the same; PostgreSQL says which it would take if reading all of
    a table were as dear as for a long one.
    """
    ran: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        ran.append((statement, parameters[0] if many else parameters))

    async with database.writing() as connection:
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        await query(connection)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        if not database.sqlite:
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        steps = []
        for statement, parameters in ran:
            explain = "EXPLAIN QUERY PLAN" if database.sqlite else "EXPLAIN"
            rows = await connection.exec_driver_sql(f"{explain} {statement}", tuple(parameters or ()))
            steps += [row.detail if database.sqlite else row[0].strip() for row in rows]
        return steps


@pytest.mark.parametrize("name", QUERIES)
async def test_no_query_of_every_day_reads_all_that_was_ever_kept(long_ledger: Database, name: str) -> None:
    steps = await plan(long_ledger, QUERIES[name])
    assert steps
    whole = [f"{scan} {table}" for table in KEPT for scan in ("SCAN", "Seq Scan on")]
    read = [step for step in steps if any(part in step for part in whole)]
    assert [step for step in read if not any(name in step for name in OPEN)] == [], steps


async def test_a_stream_that_has_sent_nothing_reads_open_triggers_only(long_ledger: Database) -> None:
    steps = await plan(long_ledger, QUERIES["what streams are sent"])
    wanted = "SEARCH triggers USING INDEX ix_triggers_open (device_key=? AND seq>?)"
    assert any(
        step.startswith(wanted if long_ledger.sqlite else "Index Cond: (((device_key)::text =") for step in steps
    )
    assert any("ix_triggers_open" in step for step in steps), steps


@pytest.mark.parametrize("name", ["silent triggers", "the fleet's open triggers", "a device's open triggers"])
async def test_open_triggers_are_found_in_an_index_of_their_own(long_ledger: Database, name: str) -> None:
    steps = await plan(long_ledger, QUERIES[name])
    assert any("ix_triggers_open" in step or "ix_triggers_expires_at" in step for step in steps), steps


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("the ledger of all devices", "ix_triggers_organisation_id_created_at_seq"),
        ("the ledger of a device", "ix_triggers_device_key_created_at_seq"),
        ("what went wrong", "ix_triggers_gaps"),
        ("gaps of slots", "ix_triggers_gaps"),
    ],
)
async def test_the_ledger_is_read_in_the_index_of_what_is_asked(long_ledger: Database, name: str, index: str) -> None:
    steps = await plan(long_ledger, QUERIES[name])
    assert any(index in step for step in steps), steps
    assert not [step for step in steps if "TEMP B-TREE" in step and "ORDER BY" not in step], steps


@pytest.mark.parametrize("name", ["the fleet", "totals", "a device", "a device's days", "who was seen"])
async def test_figures_are_read_where_they_are_kept(long_ledger: Database, name: str) -> None:
    steps = await plan(long_ledger, QUERIES[name])
    assert not [step for step in steps if " triggers" in step or " captures" in step], steps


async def received(connection: AsyncConnection, device_key: str, record_id: str, at: datetime) -> None:
    values = {"device_key": device_key, "record_id": record_id, "captured_at": at, "received_at": at, "sha256": ""}
    _, held = await captures.add(connection, {**values, "bytes": 1, "width": 1, "height": 1, "metadata": {}})
    assert held is not None


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
    (rows,) = await stream_reads.waiting(database, [("D1", 0)], NOW, 50, 2000)
    assert [row.trigger_id for row in not_none(rows)] == ["waits"]
    async with database.reading() as connection:
        assert await counters.totals(connection, "default") == {("executed", ""): 1}
        assert await trigger_history.under_way(connection, Scope()) == {"pending": 1}
        assert (await counters.since(connection, "D1", TODAY)).executed == 1
        known: DeviceState = await device_states.find(connection, "D1")
        assert known.last_outcomes == [("executed", None)]
        found = await connection.run_sync(lambda sync: inspect(sync).get_indexes("triggers"))
        assert {"ix_triggers_open", "ix_triggers_expires_at"} <= {index["name"] for index in found}
    async with database.writing() as connection:
        assert not await counters.recount(connection, "D1", NOW), "the upgrade counts as a recount does"
    await database.close()
