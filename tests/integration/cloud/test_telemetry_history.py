"""Telemetry over time: kept once, made into steps once, read in one query, removed when it is old."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from visant_cloud.database.engine import Database
from visant_cloud.history import fields
from visant_cloud.history.roll_up import RollUp
from visant_cloud.housekeeping import forget_old
from visant_cloud.store import devices, telemetry_history
from visant_cloud.store.tables import telemetry_hours, telemetry_reports

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def told(database: Database, at: datetime, temperature: float, *keys: str) -> None:
    async with database.writing() as connection:
        for key in keys or ("D1",):
            report = {"temperature": temperature, "camera": {"state": "ok"}}
            await telemetry_history.note(connection, key, report, at)


async def known(database: Database, *keys: str) -> None:
    async with database.writing() as connection:
        for key in keys:
            await devices.create(connection, key, NOON)


async def rows(database: Database, table: Any) -> list[Any]:
    query = select(table).order_by(*table.primary_key.columns)
    return [tuple(row) for row in await database.read(query)]


async def plot(cloud: Any, device_id: str = "D1", **query: Any) -> dict[str, Any]:
    given = {name.rstrip("_"): one.isoformat() if isinstance(one, datetime) else one for name, one in query.items()}
    answer = await cloud.client.get(f"/v1/devices/{device_id}/telemetry", params=given)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def roll_up(cloud: Any, process_id: str = "one") -> int:
    work, made = RollUp(cloud.cloud, process_id), 0
    while await work.hour():
        made += 1
    return made


async def test_what_a_device_tells_is_in_the_next_plot(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    for temperature in (50.0, 51.5):
        report = {"device_version": "2", "temperature": temperature, "camera": {"state": "ok"}, "state": "ok"}
        assert (await cloud.client.post("/v1/devices/D1/telemetry", json=report)).status_code == 204
        cloud.time.pass_(300)
    found = await plot(cloud, fields="temperature,camera,restarts")
    assert (found["resolution"], found["fields"]) == ("raw", ["temperature", "camera", "restarts"])
    times, temperatures, cameras, restarts = found["data"]
    assert (temperatures, cameras, restarts) == ([50, 51.5], ["ok", "ok"], [None, None])
    assert 290 <= times[1] - times[0] <= 310 and times[0] % telemetry_history.APART == 0


async def test_of_reports_that_come_faster_than_they_are_kept_the_last_stays(start: Any) -> None:
    cloud = await start()
    for seconds, temperature in ((0, 50.0), (9, 51.0), (10, 52.0)):
        await told(cloud.cloud.database, NOON + timedelta(seconds=seconds), temperature)
    kept = await telemetry_history.reports(cloud.cloud.database, "D1", NOON, NOON + HOUR)
    assert [one.at - NOON for one in kept] == [timedelta(), timedelta(seconds=10)]
    assert [one.kept[list(fields.FIELDS).index("temperature")] for one in kept] == [51, 52]


async def test_steps_are_there_when_the_reports_have_gone_and_the_newest_hour_before_it_is_made(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database
    await known(database, "D1", "D2")
    begin = (cloud.time() - timedelta(hours=60)).replace(minute=0, second=0, microsecond=0)
    for minutes in range(0, 60 * 60, 20):
        await told(database, begin + timedelta(minutes=minutes), minutes / 20)
        await told(database, begin + timedelta(minutes=minutes, seconds=30), minutes / 20 + 1)
    names = "temperature,temperature.min,temperature.max,camera"
    before = await plot(cloud, fields=names, from_=begin, to=cloud.time())
    assert before["resolution"] == "5min", "older than each report is kept"
    made = await roll_up(cloud)
    assert made in (59, 60), "all that are over"
    assert await roll_up(cloud) == 0
    whole = await plot(cloud, fields=names, from_=begin, to=cloud.time())
    times, mean, least, most, camera = whole["data"]
    assert times[0] == begin.timestamp() and {b - a for a, b in pairwise(times)} == {300}
    for n, place in enumerate(range(0, 59 * 12, 4)):
        assert (mean[place], least[place], most[place], camera[place]) == (n + 0.5, n, n + 1, "ok")
        assert mean[place + 1 : place + 4] == [None] * 3
    await forget_old(cloud.cloud, cloud.time())
    kept = (await rows(database, telemetry_reports))[0]
    assert cloud.time() - timedelta(hours=49) <= kept[2] <= cloud.time() - timedelta(hours=48)
    assert (await plot(cloud, fields=names, from_=begin, to=cloud.time()))["data"][1] == mean
    assert (await plot(cloud, "D2", fields=names, from_=begin))["data"][1].count(None) == len(mean)


async def test_a_roll_up_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry_history, "DEVICES", 2)
    cloud = await start()
    database = cloud.cloud.database
    for key in ("D1", "D2", "D3", "D4", "D5"):
        for minutes in (0, 1, 30, 61):
            await told(database, NOON + timedelta(minutes=minutes), 50.0 + minutes, key)
    taken = telemetry_history.roll_up
    left = 0

    class Killed(Exception):
        """As by kill -9: what was not committed is not there."""

    async def cut_off(connection: Any, hour: datetime, after: str) -> str | None:
        nonlocal left
        last = await taken(connection, hour, after)
        left -= 1
        if left < 0:
            raise Killed
        return last

    monkeypatch.setattr(telemetry_history, "roll_up", cut_off)
    for done in range(4):  # in each transaction of the first hour once
        left = done
        with pytest.raises(Killed):
            await RollUp(cloud.cloud, "one").hour()
    monkeypatch.setattr(telemetry_history, "roll_up", taken)
    await roll_up(cloud)
    found = await rows(database, telemetry_hours)
    assert [(row[1], row[2] - NOON) for row in found] == [
        (f"D{n}", hours * HOUR) for n in range(1, 6) for hours in (0, 1)
    ]
    place = list(fields.FIELDS).index("temperature")
    assert all(row[3][place][0] == [50, 50.5, 51, 51] and row[3][place][6] == 80 for row in found[::2])


async def test_two_processes_make_the_same_and_one_of_them_at_a_time(start: Any, engine: str) -> None:
    cloud = await start()
    database = cloud.cloud.database
    for n in range(6):
        await told(database, NOON + n * HOUR, float(n))
    if engine == "postgresql":
        assert await RollUp(cloud.cloud, "one").hour()
        assert not await RollUp(cloud.cloud, "two").hour(), "the other has the lease"
    for _ in range(2):
        async with database.writing() as connection:
            await telemetry_history.put_rolled(connection, NOON - HOUR)
        await roll_up(cloud)
    assert len(await rows(database, telemetry_hours)) == 6


async def test_a_clock_that_was_ahead_for_a_while_costs_no_hour_afterwards(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database
    now = cloud.time().replace(minute=0, second=0, microsecond=0)
    cloud.time.pass_(5 * 86400)
    await told(database, now + timedelta(days=4), 1.0)
    assert await roll_up(cloud) == 1
    cloud.time.pass_(-5 * 86400)
    await roll_up(cloud)
    await told(database, now + timedelta(minutes=1), 2.0)
    cloud.time.pass_(2 * 3600)
    assert await roll_up(cloud) == 1
    assert now in [row[2] for row in await rows(database, telemetry_hours)]


async def test_reports_whose_hour_is_not_made_are_not_removed_and_steps_go_after_90_days(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database
    await told(database, NOON, 50.0)
    later = NOON + timedelta(days=30)
    await forget_old(cloud.cloud, later)
    assert len(await rows(database, telemetry_reports)) == 1
    await roll_up(cloud)
    await forget_old(cloud.cloud, later)
    assert len(await rows(database, telemetry_reports)) == 0
    assert len(await rows(database, telemetry_hours)) == 1
    await forget_old(cloud.cloud, NOON + timedelta(days=90, hours=1))
    assert len(await rows(database, telemetry_hours)) == 0


async def test_what_cannot_be_plotted_is_refused_with_a_line_that_says_what_can(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    path = "/v1/devices/D1/telemetry"
    refused = {
        "fields: 'heat' is none of state, camera": {"fields": "temperature,heat"},
        "from: a time before": {"from": "2026-11-30T12:00:00Z", "to": "2026-11-30T12:00:00Z"},
        "at most 24": {"fields": ",".join(["temperature"] * 25)},
        "from: Input should have timezone": {"from": "2026-11-30T12:00:00"},
        "to: Value error, a number is no time": {"to": "0.5"},
    }
    for line, query in refused.items():
        answer = await cloud.client.get(path, params=query)
        assert answer.status_code == 422 and line in answer.json()["detail"], answer.text
    assert (await cloud.client.get("/v1/devices/NOBODY/telemetry")).status_code == 404
    assert (await plot(cloud, to="2020-01-01T00:00:00Z", from_="2019-01-01T00:00:00Z"))["data"][0] == []
    assert (await plot(cloud, from_="1900-01-01T00:00:00Z"))["resolution"] == "5min"
