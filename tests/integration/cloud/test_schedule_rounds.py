"""Rounds of the scheduler beside each other, beside operators, beside a kill -9, and with a clock that jumps."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from tests.integration.cloud.conftest import Time, until
from tests.support.cloud_process import Process
from tests.support.not_none import not_none
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.scheduler import BATCH, TriggerScheduler
from visant_cloud.database.engine import Database
from visant_cloud.settings import database_url as engine_url
from visant_cloud.store import devices, schedules, stream_reads, tables, trigger_creation, trigger_outcomes
from visant_cloud.store.schedules import MissedRun, Schedule

on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite's one writer waits its turn


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


def scheduler(database: Database, time: Time | None = None) -> TriggerScheduler:
    return TriggerScheduler(database, CommandHub(), time or Time(), 3600.0)


async def scheduled(
    database: Database, device_keys: Iterable[str], *, late: float = 0.0, interval: float = 3600.0
) -> datetime:
    """Devices with a schedule that has been due for `late` seconds; returns since when."""
    now = datetime.now(UTC)
    next_at = now - timedelta(seconds=late)
    who: dict[str, Any] = {"organisation_id": "default", "created_at": now}
    flags = {"active": True, "old_client": False, "token_revoked": False}
    wanted = list(device_keys)
    async with database.writing() as connection:
        await connection.execute(
            insert(tables.devices), [{**who, **flags, "device_key": key, "device_id": key} for key in wanted]
        )
        states = [{"organisation_id": "default", "device_key": key} for key in wanted]
        await connection.execute(insert(tables.device_states), states)
        timing = {"interval_seconds": interval, "next_at": next_at}
        await connection.execute(insert(tables.schedules), [{**who, **timing, "device_key": key} for key in wanted])
    return next_at


async def fired(database: Database) -> list[tuple[str, datetime]]:
    """(device_key, slot) of every scheduled trigger, in the order of their seq."""
    table = tables.triggers
    query = select(table.c.device_key, table.c.scheduled_for).where(table.c.type == "scheduled").order_by(table.c.seq)
    async with database.reading() as connection:
        return [(row.device_key, row.scheduled_for) for row in await connection.execute(query)]


async def schedule_of(database: Database, device_key: str) -> Schedule:
    async with database.reading() as connection:
        found = await schedules.find(connection, device_key)
    assert found is not None
    return found


async def missed(database: Database, device_key: str) -> list[MissedRun]:
    async with database.reading() as connection:
        return await schedules.missed(connection, device_key, 100)


async def at_once(database: Database) -> int:
    """A round of another process. Fails where it waits for what this test holds."""
    async with asyncio.timeout(60):
        return await scheduler(database).fire_due()


async def waits_for_a_lock(database: Database, count: int = 1) -> None:
    """Until so many transactions of this PostgreSQL database wait for what another holds."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    async def there() -> bool:
        async with database.reading() as connection:
            return int((await connection.execute(query)).scalar_one()) >= count

    await until(there)


# A stream reads on from the last seq that it has sent


async def sent_after(database: Database, seq: int) -> list[stream_reads.Waiting]:
    """What a stream of D1 is sent next."""
    (rows,) = await stream_reads.waiting(database, [("D1", seq)], datetime.now(UTC), 50, 2000)
    return not_none(rows)


@on_postgresql
async def test_a_manual_trigger_waits_for_a_round_that_has_its_device_and_is_sent_after_it(database: Database) -> None:
    await scheduled(database, ["D1"])

    async def by_hand() -> int:
        async with database.writing() as connection:
            row, _ = await trigger_creation.create(connection, "D1", datetime.now(UTC), 60.0)
        return row.seq

    async with database.writing() as connection:
        done = await scheduler(database).fire_batch(connection)
        assert done.fired == ["D1"]
        manual = asyncio.create_task(by_hand())
        await waits_for_a_lock(database)
        assert await sent_after(database, 0) == []
    last = await manual
    rows = await sent_after(database, 0)
    assert [row.type for row in rows] == ["scheduled", "manual"] and rows[-1].seq == last


@on_postgresql
async def test_a_round_never_hides_its_trigger_behind_a_manual_one_that_is_committed_first(database: Database) -> None:
    await scheduled(database, ["D1", "D2"])
    sent: list[tuple[int, str]] = []

    async def read_on() -> None:
        sent.extend((row.seq, row.type) for row in await sent_after(database, sent[-1][0] if sent else 0))

    async with database.writing() as one:
        await trigger_creation.create(one, "D1", datetime.now(UTC), 60.0)
        assert await at_once(database) == 1, "D2 alone: D1 is held"
        await read_on()
    await read_on()
    assert await scheduler(database).fire_due() == 1
    await read_on()
    assert [kind for _, kind in sent] == ["manual", "scheduled"]


@on_postgresql
async def test_of_a_batch_with_one_busy_device_only_that_one_waits_for_the_next_tick(database: Database) -> None:
    due_at = await scheduled(database, [f"D{n}" for n in range(5)])
    async with database.writing() as busy:
        await devices.change(busy, "D3", device_version="2")
        assert await at_once(database) == 4
        assert (await schedule_of(database, "D3")).next_at == due_at, "not moved, so not missed"
    assert await scheduler(database).fire_due() == 1
    assert sorted(await fired(database)) == [(f"D{n}", due_at) for n in range(5)]
    assert await missed(database, "D3") == []


@on_postgresql
async def test_a_picture_that_is_being_stored_holds_up_no_schedule_of_its_device(database: Database) -> None:
    """Rows that refer to a device take a lock of their own on it, which inserting a trigger need not wait for."""
    await scheduled(database, ["D1"])
    async with database.writing() as connection:
        await trigger_outcomes.captured(connection, "D1", "somebody-elses", datetime.now(UTC), "manual")
        assert await at_once(database) == 1


# Several at once


async def test_two_schedulers_at_once_fire_each_slot_once(database: Database, url: str) -> None:
    count = 2 * BATCH + 200
    due_at = await scheduled(database, [f"D{n}" for n in range(count)])
    async with another(url) as second:
        made = sum(await asyncio.gather(scheduler(database).fire_due(), scheduler(second).fire_due()))
        made += await scheduler(second).fire_due()  # what each left because the other held it
    assert made == count
    assert set(await fired(database)) == {(f"D{n}", due_at) for n in range(count)}
    assert len(await fired(database)) == count


@on_postgresql
async def test_a_kill_9_of_one_of_two_processes_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    count = 2 * BATCH + 200
    due_at = await scheduled(database, [f"D{n}" for n in range(count)], late=2.5 * 3600)
    shared = {"DATABASE_URL": migrated_url, "DATA_DIR": str(tmp_path / "shared")}
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        both.append(Process(tmp_path / name, **shared))
    try:
        async with database.writing() as holds:
            # each stops with its schedules moved and its triggers inserted, before it commits
            await holds.execute(text("LOCK TABLE missed_slots IN EXCLUSIVE MODE"))
            for one in both:
                await asyncio.to_thread(one.start)
            await waits_for_a_lock(database, 2)
            both[0].popen.kill()
            await asyncio.to_thread(both[0].popen.wait)
            assert await fired(database) == []

        async def all_moved() -> bool:
            async with database.reading() as connection:
                query = select(func.count()).where(tables.schedules.c.next_at > datetime.now(UTC))
                return (await connection.execute(query)).scalar() == count

        await until(all_moved, timeout=120)
    finally:
        for one in both:
            one.end()
    made = await fired(database)
    assert len(made) == count
    assert set(made) == {(f"D{n}", due_at + timedelta(hours=2)) for n in range(count)}
    async with database.reading() as connection:
        table = tables.missed_slots
        query = select(table.c.first_at, table.c.last_at, table.c["count"], func.count())
        runs = list(await connection.execute(query.group_by(table.c.first_at, table.c.last_at, table.c["count"])))
    assert [tuple(run) for run in runs] == [(due_at, due_at + timedelta(hours=1), 2, count)]


# Beside operators


@on_postgresql
@pytest.mark.parametrize("interval", [100.0, None])
async def test_an_interval_that_is_changed_or_taken_away_during_a_round_has_the_last_word(
    start: Any, database: Database, interval: float | None
) -> None:
    cloud = await start()
    await scheduled(database, ["D1"])
    async with database.writing() as connection:
        assert (await scheduler(database).fire_batch(connection)).fired == ["D1"]
        put = asyncio.create_task(
            cloud.client.put("/v1/devices/D1/schedule", json={"interval_seconds": interval}, timeout=60)
        )
        await waits_for_a_lock(database)
    answer = await put
    assert answer.status_code == 200
    shown = (await cloud.client.get("/v1/devices/D1")).json()
    for key in ("interval_seconds", "next_scheduled_at"):
        assert shown[key] == answer.json()[key]
    assert shown["interval_seconds"] == interval
    assert len(await fired(database)) == 1


@on_postgresql
async def test_a_round_leaves_a_schedule_that_is_being_changed_as_it_will_be(database: Database) -> None:
    await scheduled(database, ["D1"])
    later = datetime.now(UTC) + timedelta(seconds=50)
    async with database.writing() as connection:
        await schedules.put(connection, "D1", 100.0, later, datetime.now(UTC))
        assert await at_once(database) == 0
    assert await scheduler(database).fire_due() == 0
    assert (await schedule_of(database, "D1")).next_at == later


async def test_intervals_changed_again_and_again_beside_rounds_lose_and_double_nothing(
    start: Any, database: Database
) -> None:
    cloud = await start()
    await scheduled(database, ["D1", "D2"], late=10, interval=1.0)
    for interval in (5, None, 3, None, 1):
        _, answer = await asyncio.gather(
            scheduler(database, cloud.time).fire_due(),
            cloud.client.put("/v1/devices/D1/schedule", json={"interval_seconds": interval}),
        )
        assert answer.status_code == 200
        shown = (await cloud.client.get("/v1/devices/D1")).json()
        assert shown["interval_seconds"] == interval
        cloud.time.pass_(4)
    made = await fired(database)
    assert len(set(made)) == len(made)
    others = [slot for device_key, slot in made if device_key == "D2"]
    runs = await missed(database, "D2")
    passed = round((max(others) - min(run.first_at for run in runs)).total_seconds()) + 1
    assert len(others) + sum(run.count for run in runs) == passed


# Times that were missed


async def test_three_days_away_are_one_run_of_missed_times_and_one_picture(start: Any, database: Database) -> None:
    cloud = await start()
    due_at = await scheduled(database, ["D1"], late=3 * 86400, interval=60.0)
    assert await scheduler(database).fire_due() == 1
    (slot,) = [slot for _, slot in await fired(database)]
    answer = await cloud.client.get("/v1/devices/D1/missed")
    assert answer.json() == {
        "device_id": "D1",
        "missed": [
            {
                "first": due_at.isoformat(timespec="microseconds"),
                "last": (slot - timedelta(seconds=60)).isoformat(timespec="microseconds"),
                "count": 3 * 1440,
                "reason": "late",
            }
        ],
    }
    assert (await cloud.client.get("/v1/devices/D2/missed")).status_code == 404


async def test_a_cloud_that_cannot_keep_up_makes_its_run_longer_and_one_that_could_begins_another(
    database: Database,
) -> None:
    time = Time()
    due_at = await scheduled(database, ["D1"], interval=10.0)
    one = scheduler(database, time)
    for _ in range(4):  # 10, 20, 30 seconds late each time
        time.pass_(35)
        assert await one.fire_due() == 1
    (run,) = await missed(database, "D1")
    made = [slot for _, slot in await fired(database)]
    assert (run.first_at, run.last_at) == (due_at, made[-1] - timedelta(seconds=10))
    assert run.count + len(made) == (made[-1] - due_at) // timedelta(seconds=10) + 1
    time.ahead += (await schedule_of(database, "D1")).next_at - time() + timedelta(seconds=1)
    assert await one.fire_due() == 1
    time.pass_(35)
    assert await one.fire_due() == 1
    assert len(await missed(database, "D1")) == 2


async def test_times_of_a_barred_device_are_missed_once_and_not_made_up_for(database: Database) -> None:
    time = Time()
    due_at = await scheduled(database, ["D1"], interval=10.0)
    one = scheduler(database, time)
    async with database.writing() as connection:
        await devices.change(connection, "D1", active=False)
    for seconds in (1, 10, 25):
        time.pass_(seconds)
        assert [await one.fire_due(), await one.fire_due()] == [0, 0]
    (run,) = await missed(database, "D1")
    assert (run.first_at, run.last_at, run.count, run.reason) == (
        due_at,
        due_at + timedelta(seconds=30),
        4,
        "not_active",
    )
    async with database.writing() as connection:
        await devices.change(connection, "D1", active=True)
    assert await one.fire_due() == 0
    time.pass_(10)
    assert await one.fire_due() == 1
    assert await fired(database) == [("D1", due_at + timedelta(seconds=40))]


async def test_a_slot_that_has_a_trigger_gets_no_other(database: Database) -> None:
    due_at = await scheduled(database, ["D1"])
    assert await scheduler(database).fire_due() == 1
    moved = await schedule_of(database, "D1")
    async with database.writing() as connection:
        await schedules.move(connection, {moved.schedule_id: due_at})
    await scheduler(database).fire_due()
    assert await fired(database) == [("D1", due_at)]


# Clocks


async def test_a_clock_that_jumps_a_day_ahead_takes_one_picture_and_back_again_lets_schedules_begin_anew(
    database: Database,
) -> None:
    time = Time()
    await scheduled(database, ["D1"], interval=60.0)
    one = scheduler(database, time)
    assert await one.fire_due() == 1
    time.pass_(86400)
    assert await one.fire_due() == 1
    assert [run.reason for run in await missed(database, "D1")] == ["late"]
    time.pass_(-86400)
    assert await one.fire_due() == 0
    assert await one.begin_anew() == 1
    assert time() <= (await schedule_of(database, "D1")).next_at <= time() + timedelta(seconds=60)
    for _ in range(3):
        time.pass_(61)
        assert await one.fire_due() == 1
    made = await fired(database)
    assert len(set(made)) == len(made) == 5


async def test_a_clock_that_is_put_back_by_a_day_silences_no_schedule_and_by_some_seconds_changes_none(
    database: Database,
) -> None:
    time = Time()
    await scheduled(database, ["D1"], interval=60.0)
    one = scheduler(database, time)
    assert await one.fire_due() == 1
    after = await schedule_of(database, "D1")
    time.pass_(-30)
    assert await one.begin_anew() == 0 and await schedule_of(database, "D1") == after
    time.pass_(-86400)
    assert await one.begin_anew() == 1
    time.pass_(61)
    assert await one.fire_due() == 1


async def test_what_a_full_batch_leaves_is_taken_without_a_pause(database: Database) -> None:
    await scheduled(database, [f"D{n}" for n in range(BATCH + 1)])
    asked = 0

    def go_on() -> bool:
        nonlocal asked
        asked += 1
        return True

    assert await scheduler(database).fire_due(go_on) == BATCH + 1
    assert asked == 1
    assert await scheduler(database).fire_due() == 0
