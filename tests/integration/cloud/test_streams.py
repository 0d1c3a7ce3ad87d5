"""Many streams on one process: what they read, what they outlive, what they may ask for."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from tests.support.postgres import PostgresServer
from tests.support.raw_stream import connect, connected
from visant_cloud.commands import arrivals, loader
from visant_cloud.connections import Connection
from visant_cloud.database.engine import Database

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""For a test that needs one database, or brings its own server."""


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of databases meanwhile."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def reads(seen: list[str], table: str) -> int:
    return sum(one.startswith("SELECT") and f" {table}" in one and "FOR UPDATE" not in one for one in seen)


async def test_a_hundred_streams_that_are_nudged_at_once_read_together(start: Any) -> None:
    cloud = await start()
    async with connected(cloud.url, 100) as streams:
        wanted = [(await cloud.triggers(f"D{number}", 1))[0] for number in range(100)]
        assert [await one.until("trigger_id") for one in streams] == wanted
        with statements() as seen:
            for number in range(100):
                cloud.cloud.hub.nudge(f"D{number}")
            await asyncio.gather(*(one.pings(0) for one in streams))
            trigger_id = await cloud.trigger("D99")
            assert await streams[99].until("trigger_id") == trigger_id
        assert 1 <= reads(seen, "triggers") <= 4, seen


async def test_a_stream_costs_one_read_of_its_device_and_one_of_its_commands_and_pings_none(start: Any) -> None:
    cloud = await start(ping_every=0.2)
    await cloud.client.post("/v1/devices", json={"device_id": "D1"})  # no stream of before, whose read may be under way
    with statements() as seen:
        stream = await connect(cloud.url, "D1")
        assert (await stream.next())["event"] == "connected"
        await stream.pings(5)
        stream.close()
    assert (reads(seen, "devices"), reads(seen, "triggers")) == (1, 1), seen


async def test_devices_that_come_at_the_same_time_are_looked_up_together(start: Any) -> None:
    cloud = await start()
    async with connected(cloud.url, 5):
        pass
    with statements() as seen:
        found = await asyncio.gather(*(cloud.cloud.lookups.by_key(f"D{number}") for number in range(50)))
    assert [one and one.device_id for one in found] == [f"D{number}" if number < 5 else None for number in range(50)]
    assert reads(seen, "devices") == 1, seen


async def test_backlogs_of_many_devices_come_whole_and_in_order_though_they_are_read_in_pieces(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "_EACH", 7)
    monkeypatch.setattr(loader, "_TOTAL", 20)
    cloud = await start()
    async with connected(cloud.url, 6):
        pass
    wanted = [await cloud.triggers(f"D{number}", 30) for number in range(6)]
    async with connected(cloud.url, 6) as streams:
        for one, expected in zip(streams, wanted, strict=True):
            assert [await one.until("trigger_id") for _ in expected] == expected


@on_sqlite
async def test_a_database_that_is_away_ends_no_stream_and_stops_no_ping(start: Any) -> None:
    with PostgresServer() as server:
        cloud = await start(database_url=server.url("away"), ping_every=0.5)
        async with connected(cloud.url, 100) as streams:
            server.stop()
            for number in range(100):  # each wants to read now
                cloud.cloud.hub.nudge(f"D{number}")
            await asyncio.gather(*(one.pings(6) for one in streams))
            turned_away = [await connect(cloud.url, "D1") for _ in range(12)]
            assert {one.status for one in turned_away} == {503}
            assert len({one.headers["retry-after"] for one in turned_away}) > 1, "not all come back at one instant"
            for one in turned_away:
                one.close()
            server.start()
            wanted = [(await cloud.triggers(f"D{number}", 1))[0] for number in range(100)]
            assert [await one.until("trigger_id") for one in streams] == wanted


@on_sqlite
async def test_a_database_that_hangs_delays_commands_and_ends_no_stream(start: Any, postgres: PostgresServer) -> None:
    url = postgres.url("hangs")
    cloud = await start(database_url=url, ping_every=0.5)
    other = Database(cloud.cloud.settings.engine_url())
    async with connected(cloud.url, 3) as streams:
        wanted = [(await cloud.triggers(f"D{number}", 1))[0] for number in range(3)]
        assert [await one.until("trigger_id") for one in streams] == wanted
        async with other.engine.connect() as holding:
            await holding.execute(text("LOCK TABLE triggers IN ACCESS EXCLUSIVE MODE"))
            for number in range(3):
                cloud.cloud.hub.nudge(f"D{number}")
            await asyncio.gather(*(one.pings(4) for one in streams))
        wanted = [(await cloud.triggers(f"D{number}", 1))[0] for number in range(3)]
        assert [await one.until("trigger_id") for one in streams] == wanted
    await other.close()


@on_sqlite
@pytest.mark.parametrize(
    ("asked", "told"),
    [("180", 180.0), ("5", 5.0), ("4", 20.0), ("601", 20.0), ("nan", 20.0), ("", 20.0), ("soon", 20.0), ("inf", 20.0)],
)
async def test_a_device_may_ask_for_fewer_pings(start: Any, asked: str, told: float) -> None:
    cloud = await start()
    stream = await connect(cloud.url, "D1", f"?device_version=2.0.0&ping_every={asked}")
    assert (await stream.next())["ping_every"] == told
    stream.close()


async def test_the_version_that_a_device_names_is_noted(start: Any, eventually: Any) -> None:
    cloud = await start()
    stream = await connect(cloud.url, "D1", "?device_version=2.0.7%20beta")

    async def noted() -> bool:
        return bool((await cloud.client.get("/v1/devices/D1")).json()["device_version"] == "2.0.7 beta")

    await eventually(noted)
    stream.close()


@on_sqlite
async def test_head_and_other_methods_open_no_stream(start: Any) -> None:
    cloud = await start()
    for method in ("HEAD", "POST", "DELETE"):
        assert (await cloud.client.request(method, "/v1/devices/D1/commands")).status_code == 405
    assert cloud.cloud.hub.connected() == {}
    described = (await cloud.client.get("/openapi.json")).json()["paths"]["/v1/devices/{device_id}/commands"]["get"]
    assert [one["name"] for one in described["parameters"]] == ["device_id", "device_version", "ping_every"]


async def test_a_third_stream_of_a_device_ends_its_oldest(start: Any) -> None:
    cloud = await start()
    first, second, third = [await connect(cloud.url, "D1") for _ in range(3)]
    assert await first.ended()
    trigger_id = await cloud.trigger("D1")
    assert [await one.until("trigger_id") for one in (second, third)] == [trigger_id] * 2
    for one in (first, second, third):
        one.close()


@on_sqlite
async def test_a_stream_that_asks_for_few_pings_may_be_slow_to_acknowledge_them(start: Any) -> None:
    cloud = await start()
    for query, seconds in (("", 40), ("?ping_every=180", 360)):
        stream = await connect(cloud.url, "D1", query)
        (ours,) = [one for one in gc.get_objects() if type(one) is Connection and one.watched]
        option = ours.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert option == seconds * 1000
        stream.close()
        while cloud.cloud.hub.connected():
            await asyncio.sleep(0.01)
        del ours
        gc.collect()


@on_sqlite
async def test_more_devices_than_can_be_let_in_at_once_are_told_when_to_come_back(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "PER_SECOND", 10.0)
    monkeypatch.setattr(arrivals, "_AT_ONCE", 5)
    monkeypatch.setattr(arrivals, "_WAIT", 0.5)
    cloud = await start()
    streams = await asyncio.gather(*(connect(cloud.url, f"D{number}") for number in range(60)))
    let_in = [one for one in streams if one.status == 200]
    refused = [one for one in streams if one.status == 503]
    assert len(let_in) + len(refused) == 60 and len(let_in) >= 5 and refused
    assert {one.headers["content-type"] for one in refused} == {"application/problem+json"}
    assert len({one.headers["retry-after"] for one in refused}) > 2, "not all come back at one instant"
    for one in let_in:
        assert (await one.next())["event"] == "connected"
    for one in streams:
        one.close()
