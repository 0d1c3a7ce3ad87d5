"""Rounds of shared schedules beside each other, beside operators, beside a kill -9."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text

from tests.integration.cloud.conftest import Time, until
from tests.support.cloud_process import Process
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.shared_rounds import BATCH, MOST_PASSED, SharedRounds
from visant_cloud.database.engine import Database
from visant_cloud.schedules.rule import Rule
from visant_cloud.settings import database_url as engine_url
from visant_cloud.store import devices, schedules, shared_schedules, stream_reads, tables, trigger_creation
from visant_cloud.store.schedules import MissedRun
from visant_cloud.store.shared_schedules import SharedSchedule

on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite's one writer waits its turn
MINUTELY = Rule(interval_seconds=60)


@pytest.fixture
def url(migrated_url: str | None, tmp_path: Path) -> str:
    return (
        f"sqlite+aiosqlite:///{tmp_path / 'cloud' / 'cloud.db'}" if migrated_url is None else engine_url(migrated_url)
    )


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    one = Database(url)
    yield one
    await one.close()


@asynccontextmanager
async def another(url: str) -> AsyncIterator[Database]:
    """As a second process has it."""
    one = Database(url)
    yield one
    await one.close()


def rounds(database: Database, now: Any = None) -> SharedRounds:
    return SharedRounds(database, CommandHub(), now or Time(), 3600.0)


async def shared(
    database: Database, device_keys: Iterable[str], rule: Rule = MINUTELY, next_at: datetime | None = None
) -> datetime:
    """A group of new devices with a schedule that has just come, or since `next_at`; returns since when."""
    now = datetime.now(UTC)
    due = next_at or datetime.fromtimestamp(now.timestamp() // 60 * 60, UTC)
    common: dict[str, Any] = {"organisation_id": "default"}
    flags = {"created_at": now, "active": True, "old_client": False, "token_revoked": False}
    wanted = list(device_keys)
    async with database.writing() as connection:
        rows = [{**common, **flags, "device_key": key, "device_id": key} for key in wanted]
        await connection.execute(insert(tables.devices), rows)
        made = await shared_schedules.create(connection, "default", "s", rule, active=True, next_at=due, now=now)
        assert made is not None
        group = {**common, "group_id": 1, "name": "all", "created_at": now}
        await connection.execute(insert(tables.device_groups).values(**group))
        members = [{**common, "group_id": 1, "device_key": key} for key in wanted]
        await connection.execute(insert(tables.group_members), members)
        target = {**common, "schedule_id": made.schedule_id, "group_id": 1}
        await connection.execute(insert(tables.schedule_targets).values(**target))
    return due


async def fired(database: Database) -> list[tuple[str, datetime]]:
    """(device_key, slot) of every scheduled trigger, in the order of their seq."""
    table = tables.triggers
    query = select(table.c.device_key, table.c.scheduled_for).where(table.c.type == "scheduled").order_by(table.c.seq)
    async with database.reading() as connection:
        return [(row.device_key, row.scheduled_for) for row in await connection.execute(query)]


async def the_schedule(database: Database) -> SharedSchedule:
    async with database.reading() as connection:
        (found,) = await shared_schedules.page(connection, "default", None, 10)
    return found


async def missed(database: Database, device_key: str) -> list[MissedRun]:
    async with database.reading() as connection:
        return await schedules.missed(connection, device_key, 100)


async def waits_for_a_lock(database: Database, count: int = 1) -> None:
    """Until so many transactions of this PostgreSQL database wait for what another holds."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    async def there() -> bool:
        async with database.reading() as connection:
            return int((await connection.execute(query)).scalar_one()) >= count

    await until(there)


async def test_two_rounds_at_once_fire_each_slot_of_a_group_once(database: Database, url: str) -> None:
    count = 2 * BATCH + 100
    due_at = await shared(database, [f"D{n}" for n in range(count)])
    time = Time()
    time.ahead = due_at + timedelta(seconds=1) - datetime.now(UTC)
    async with another(url) as second:
        both = rounds(database, time), rounds(second, time)
        made = sum(await asyncio.gather(*(one.run_due() for one in both)))
        made += await both[0].run_due()  # what each left because the other held it
    assert made == count
    assert sorted(await fired(database)) == sorted((f"D{n}", due_at) for n in range(count))
    assert (await the_schedule(database)).next_at == due_at + timedelta(seconds=60)


@on_postgresql
async def test_a_kill_9_of_one_of_two_processes_in_the_middle_loses_and_doubles_nothing(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    """One dies while it hands a slot out, the other while it fires what was handed out."""
    count = BATCH + 100
    hour = datetime.fromtimestamp(datetime.now(UTC).timestamp() // 3600 * 3600, UTC)
    due_at = hour - timedelta(hours=2)
    await shared(database, [f"D{n}" for n in range(count)], Rule(interval_seconds=3600), due_at)
    shared_folder = {"DATABASE_URL": migrated_url, "DATA_DIR": str(tmp_path / "shared")}
    made = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        made.append(Process(tmp_path / name, **shared_folder))
    try:
        async with database.writing() as holds:
            await holds.execute(text("LOCK TABLE missed_slots IN EXCLUSIVE MODE"))  # it notes what was missed
            await asyncio.to_thread(made[0].start)
            await waits_for_a_lock(database)
            made[0].popen.kill()
            await asyncio.to_thread(made[0].popen.wait)
        assert (await the_schedule(database)).next_at == due_at
        async with database.writing() as holds:
            await holds.execute(text("LOCK TABLE triggers IN EXCLUSIVE MODE"))  # it makes the first of its triggers
            await asyncio.to_thread(made[1].start)
            await waits_for_a_lock(database)
            made[1].popen.kill()
            await asyncio.to_thread(made[1].popen.wait)
        assert await fired(database) == []
        await asyncio.to_thread(made[2].start)

        async def all_fired() -> bool:
            return len(await fired(database)) >= count

        await until(all_fired, timeout=120)
    finally:
        for one in made:
            one.end()
    found = await fired(database)
    assert len(found) == len(set(found)) == count
    assert {device_key for device_key, _ in found} == {f"D{n}" for n in range(count)}
    async with database.reading() as connection:
        table = tables.missed_slots
        query = select(table.c.first_at, table.c.last_at, table.c["count"], func.count())
        runs = list(await connection.execute(query.group_by(table.c.first_at, table.c.last_at, table.c["count"])))
    (last,) = {slot for _, slot in found}
    assert [tuple(run) for run in runs] == [
        (due_at, last - timedelta(hours=1), (last - due_at) // timedelta(hours=1), count)
    ]


@on_postgresql
async def test_a_manual_trigger_waits_for_a_round_that_has_its_device_and_is_sent_after_it(database: Database) -> None:
    """A stream reads on from the last seq that it has sent."""
    await shared(database, ["D1"])
    one = rounds(database)
    assert await one.hand_out()

    async def by_hand() -> int:
        async with database.writing() as connection:
            row, _ = await trigger_creation.create(connection, "D1", datetime.now(UTC), 60.0)
        return row.seq

    async with database.writing() as connection:
        assert (await one.fire_batch(connection))[0] == 1
        manual = asyncio.create_task(by_hand())
        await waits_for_a_lock(database)
    last = await manual
    (rows,) = await stream_reads.waiting(database, [("D1", 0)], datetime.now(UTC), 50, 2000)
    assert rows is not None and [row.type for row in rows] == ["scheduled", "manual"] and rows[-1].seq == last


@on_postgresql
async def test_of_a_batch_with_one_busy_device_only_that_one_waits_for_the_next_round(database: Database) -> None:
    due_at = await shared(database, [f"D{n}" for n in range(5)])
    one = rounds(database)
    async with database.writing() as busy:
        await devices.change(busy, "D3", device_version="2")
        async with asyncio.timeout(60):
            assert await one.run_due() == 4
    assert await one.run_due() == 1
    assert sorted(await fired(database)) == [(f"D{n}", due_at) for n in range(5)]
    assert await missed(database, "D3") == []


@on_postgresql
async def test_a_change_during_a_round_has_the_last_word(start: Any, database: Database) -> None:
    cloud = await start()
    due_at = await shared(database, ["D1"])
    async with database.writing() as connection:
        assert await rounds(database).hand_out_one(connection)
        body = {"name": "s", "rule": {"interval_seconds": 7200}}
        number = 1
        put = cloud.client.put(f"/v1/schedules/{number}", json=body, headers={"If-Match": "*"}, timeout=60)
        changing = asyncio.create_task(put)
        await waits_for_a_lock(database)
    answer = await changing
    assert answer.status_code == 200
    found = await the_schedule(database)
    assert found.rule == Rule(interval_seconds=7200) and found.next_at is not None and found.next_at > due_at
    assert await rounds(database).run_due() == 1
    assert await fired(database) == [("D1", due_at)]


async def test_a_device_that_is_deleted_while_its_slots_wait_takes_them_along(database: Database) -> None:
    await shared(database, ["D1", "D2"])
    one = rounds(database)
    assert await one.hand_out()
    async with database.writing() as connection:
        for table in (tables.group_members, tables.device_states, tables.devices):
            await connection.execute(delete(table).where(table.c.device_key == "D1"))
    assert await one.run_due() == 1
    assert [device_key for device_key, _ in await fired(database)] == ["D2"]


async def test_a_month_away_is_one_run_counted_to_the_last_slot_and_one_picture_a_device(database: Database) -> None:
    now = datetime.now(UTC)
    due_at = datetime.fromtimestamp((now.timestamp() // 60 - 30 * 1440) * 60, UTC)
    rule = Rule.model_validate({"cron": "*/10 * * * *", "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]})
    begin = datetime.fromtimestamp(due_at.timestamp() // 600 * 600, UTC)
    await shared(database, ["D1", "D2"], rule, begin)
    assert await rounds(database).run_due() == 2
    for device_key in ("D1", "D2"):
        (run,) = await missed(database, device_key)
        slot = dict(await fired(database))[device_key]
        assert run.first_at == begin and run.last_at == slot - timedelta(minutes=10) and run.reason == "late"
        assert run.count == (slot - begin) // timedelta(minutes=10) > 4 * MOST_PASSED
    assert await rounds(database).run_due() == 0


async def test_a_cloud_that_is_late_again_and_again_makes_its_run_longer(database: Database) -> None:
    time = Time()
    rule = Rule.model_validate({"interval_seconds": 10})
    due_at = datetime.fromtimestamp(time().timestamp() // 10 * 10, UTC)
    await shared(database, ["D1"], rule, due_at)
    one = rounds(database, time)
    for _ in range(4):
        time.pass_(35)
        assert await one.run_due() == 1
    (run,) = await missed(database, "D1")
    made = [slot for _, slot in await fired(database)]
    assert run.first_at == due_at and run.count + len(made) == (made[-1] - due_at) // timedelta(seconds=10) + 1


async def test_a_rule_that_this_version_cannot_read_ends_no_round_and_holds_up_no_other(database: Database) -> None:
    due_at = await shared(database, ["D1"])
    now = datetime.now(UTC)
    async with database.writing() as connection:
        broken = {
            "organisation_id": "default",
            "name": "broken",
            "rule": {"cron": "* * * * *", "zone": "Atlantis/Main"},
        }
        times = {"created_at": now, "updated_at": now, "next_at": due_at - timedelta(hours=1)}
        await connection.execute(
            insert(tables.shared_schedules).values(**broken, **times, active=True, version=1, shift=0)
        )
    assert await rounds(database).run_due() == 1
    assert await fired(database) == [("D1", due_at)]
    assert await rounds(database).begin_anew(60.0) == 0
