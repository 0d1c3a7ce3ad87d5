"""Schedules: due is counted from the last scheduled time, whatever happens to the process in between."""

from datetime import UTC, datetime, timedelta
from typing import Any

from visant_cloud.commands.scheduler import TriggerScheduler, first_firing


async def registered(start: Any, **chosen: Any) -> Any:
    cloud = await start(**chosen)
    await cloud.register()
    return cloud


def scheduler(cloud: Any) -> TriggerScheduler:
    inner = cloud.cloud
    return TriggerScheduler(inner.database, inner.hub, cloud.time, inner.settings.scheduled_ttl_max)


async def schedule(cloud: Any, interval: float | None, device_id: str = "D1") -> datetime | None:
    answer = await cloud.client.put(f"/v1/devices/{device_id}/schedule", json={"interval_seconds": interval})
    assert answer.status_code == 200, answer.text
    first = answer.json()["next_scheduled_at"]
    return None if first is None else datetime.fromisoformat(first)


async def rows(cloud: Any) -> list[dict[str, Any]]:
    return list((await cloud.client.get("/v1/devices/D1/triggers")).json()["triggers"])


async def next_time(cloud: Any) -> datetime:
    return datetime.fromisoformat((await cloud.client.get("/v1/devices/D1")).json()["next_scheduled_at"])


def until(cloud: Any, moment: datetime) -> None:
    """The clock stands just past `moment`."""
    cloud.time.ahead += moment - cloud.time() + timedelta(milliseconds=1)


async def test_a_schedule_fires_within_one_interval_and_then_on_the_grid(start: Any) -> None:
    cloud = await registered(start)
    before = cloud.time()
    first = await schedule(cloud, 100)
    assert first is not None and before <= first <= cloud.time() + timedelta(seconds=100)
    assert await scheduler(cloud).fire_due() == 0
    until(cloud, first)
    async with cloud.stream("D1") as stream:
        await stream.next()
        assert await scheduler(cloud).fire_due() == 1
        command = await stream.command()
    assert command["type"] == "scheduled"
    lifetime = datetime.fromisoformat(command["expires_at"]) - datetime.fromisoformat(command["issued_at"])
    assert lifetime == timedelta(seconds=100)
    cloud.time.pass_(7.5)  # the round came late; the grid does not move
    assert await next_time(cloud) == first + timedelta(seconds=100)
    assert await scheduler(cloud).fire_due() == 0


async def test_of_times_missed_while_the_cloud_was_down_one_is_made_up_for(start: Any) -> None:
    cloud = await registered(start)
    first = await schedule(cloud, 10)
    assert first is not None
    cloud = await start()
    until(cloud, first + timedelta(seconds=95))
    assert [await scheduler(cloud).fire_due() for _ in range(3)] == [1, 0, 0]
    assert await next_time(cloud) == first + timedelta(seconds=100)
    assert len(await rows(cloud)) == 1


async def test_two_clouds_on_one_database_fire_once(start: Any) -> None:
    import asyncio

    cloud = await registered(start)
    first = await schedule(cloud, 50)
    assert first is not None
    until(cloud, first)
    one, two = scheduler(cloud), scheduler(cloud)
    assert sorted(await asyncio.gather(one.fire_due(), two.fire_due())) == [0, 1]
    assert len(await rows(cloud)) == 1


async def test_a_scheduled_trigger_lives_an_hour_at_most(start: Any) -> None:
    cloud = await registered(start)
    first = await schedule(cloud, 86400)
    assert first is not None
    until(cloud, first)
    await scheduler(cloud).fire_due()
    row = (await rows(cloud))[0]
    lived = datetime.fromisoformat(row["expires_at"]) - datetime.fromisoformat(row["created_at"])
    assert lived == timedelta(hours=1)


async def test_a_schedule_ends_when_it_is_taken_away_and_rests_while_a_device_is_barred(start: Any) -> None:
    cloud = await registered(start)
    await schedule(cloud, 500)
    await cloud.client.patch("/v1/devices/D1", json={"active": False})
    cloud.time.pass_(6000)
    assert await scheduler(cloud).fire_due() == 0
    await cloud.client.patch("/v1/devices/D1", json={"active": True})
    assert await scheduler(cloud).fire_due() == 0, "what passed while it was barred is not made up for"
    cloud.time.pass_(500)
    assert await scheduler(cloud).fire_due() == 1
    assert await schedule(cloud, None) is None
    cloud.time.pass_(6000)
    assert await scheduler(cloud).fire_due() == 0


def test_a_fleet_on_one_interval_is_spread_over_it() -> None:
    now = datetime.now(UTC)
    shares = [(first_firing(f"FLOOR{n}", 60, now) - now).total_seconds() for n in range(600)]
    for minute_part in range(6):
        there = [one for one in shares if minute_part * 10 <= one < minute_part * 10 + 10]
        assert 60 < len(there) < 140
