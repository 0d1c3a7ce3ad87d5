"""Events of several processes on one PostgreSQL: who made the change need not be who tells it, nor live."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from tests.integration.cloud.test_pooler import Pooled, pgbouncer
from tests.integration.cloud.test_two_processes import Two, two_processes
from tests.support.cloud_process import Process
from tests.support.event_reader import EventReader, reading
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from visant_cloud.events.log import TICK

__all__ = ["pgbouncer"]


@pytest.fixture(scope="module")
def two(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Without a bell."""
    folder = tmp_path_factory.mktemp("two")
    with two_processes(folder, postgres.url(f"events_{time.monotonic_ns()}")) as both:
        yield both


@asynccontextmanager
async def read_at(process: Process) -> AsyncIterator[EventReader]:
    async with (
        httpx.AsyncClient(base_url=process.url, timeout=60) as client,
        reading(client, types="trigger.created") as reader,
    ):
        assert (await reader.next())["type"] == "connected"
        yield reader


async def fired(process: Process, device_id: str = "D1") -> str:
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        answer = await client.post(f"/v1/devices/{device_id}/trigger")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["trigger_id"])


async def known(process: Process) -> None:
    """D1 is."""
    async with (
        httpx.AsyncClient(base_url=process.url, timeout=60) as client,
        client.stream("GET", "/v1/devices/D1/commands") as response,
    ):
        assert response.status_code == 200


def test_without_a_bell_an_event_is_at_most_five_seconds_late() -> None:
    assert TICK <= 5.0


async def test_what_one_process_did_is_told_by_another(two: Two) -> None:
    here, there = two
    await known(here)
    async with read_at(there) as reader, read_at(here) as own:
        for _ in range(3):
            trigger_id = await fired(here)
            for one in (reader, own):
                assert (await one.event())["data"]["trigger_id"] == trigger_id


async def test_what_a_process_did_that_was_killed_at_once_is_told_by_another(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with two_processes(tmp_path, postgres.url(f"killed_{time.monotonic_ns()}")) as (here, there):
        await known(here)
        async with read_at(there) as reader:
            trigger_id = await fired(here)
            here.popen.kill()
            assert (await reader.event())["data"]["trigger_id"] == trigger_id


async def test_the_bell_wakes_readers_at_another_process(postgres: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    url = postgres.url(f"bell_{time.monotonic_ns()}")
    with RedisServer(tmp_path / "redis") as redis, two_processes(tmp_path, url, REDIS_URL=redis.url) as (here, there):
        await known(here)
        async with read_at(there) as reader, redis_heard(redis) as heard:
            trigger_id = await fired(here)
            assert (await reader.event())["data"]["trigger_id"] == trigger_id
            async with asyncio.timeout(60):
                while not any(b'"events": true' in message for message in heard):
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def redis_heard(redis: RedisServer) -> AsyncIterator[list[bytes]]:
    """All that is published meanwhile."""
    heard: list[bytes] = []
    async with Redis.from_url(redis.url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe("*")

        async def listen() -> None:
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    heard.append(message["data"])

        task = asyncio.create_task(listen())
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_behind_a_pooler_in_transaction_mode_events_are_numbered_as_well(
    pgbouncer: Pooled, tmp_path: Path
) -> None:
    process = Process(tmp_path, DATABASE_URL=pgbouncer("transaction", 2)).start()
    try:
        await known(process)
        async with read_at(process) as reader:
            for _ in range(5):
                trigger_id = await fired(process)
                assert (await reader.event())["data"]["trigger_id"] == trigger_id
    finally:
        process.end()
