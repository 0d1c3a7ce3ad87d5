"""Two processes of one cloud: one PostgreSQL, one picture folder, whichever a request reaches."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from tests.support.cloud_process import Process
from tests.support.postgres import PostgresServer
from tests.support.raw_stream import connect
from tests.support.redis import RedisServer

Two = tuple[Process, Process]


@contextmanager
def two_processes(folder: Path, database_url: str, **more: str) -> Iterator[Two]:
    both = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        both.append(Process(folder / name, DATABASE_URL=database_url, DATA_DIR=str(folder / "shared"), **more))
    try:
        yield both[0].start(), both[1].start()
    finally:
        for one in both:
            one.end()


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.url(f"two_{time.monotonic_ns()}")


@pytest.fixture
def two(tmp_path: Path, database: str) -> Iterator[Two]:
    """Without a bell: they hear of each other by the database."""
    with two_processes(tmp_path, database) as both:
        yield both


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def two_with_bell(tmp_path: Path, database: str, redis: RedisServer) -> Iterator[Two]:
    with two_processes(tmp_path, database, REDIS_URL=redis.url) as both:
        yield both


@asynccontextmanager
async def stream(url: str, device_id: str) -> AsyncIterator[Any]:
    """`await command()` gives the next command of the stream."""
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as client,
        client.stream("GET", f"/v1/devices/{device_id}/commands") as response,
    ):
        lines = response.aiter_lines()

        async def command() -> dict[str, Any]:
            async for line in lines:
                if line.startswith("data:") and "cmd" in (found := json.loads(line[5:])):
                    return dict(found)
            raise EOFError

        assert response.status_code == 200
        yield command


async def count(client: httpx.AsyncClient, wanted: int, within: float) -> None:
    """Until so many devices are connected, by the word of the process that `client` asks."""
    async with asyncio.timeout(within):
        while (await client.get("/v1/devices/connected")).json()["count"] != wanted:
            await asyncio.sleep(0.05)


async def test_a_trigger_posted_to_one_process_reaches_the_stream_of_another(two: Two, upload_body: Any) -> None:
    here, there = two
    async with httpx.AsyncClient(base_url=here.url, timeout=30) as client:
        async with stream(there.url, "D1") as command:
            await count(client, 1, within=120)
            for _ in range(3):
                answer = (await client.post("/v1/devices/D1/trigger")).json()
                assert answer["connected"] is True and answer["status"] == "sent"
                async with asyncio.timeout(120):
                    assert (await command())["trigger_id"] == answer["trigger_id"]
            # the picture comes to the process that holds the stream, and is shown by the other
            async with httpx.AsyncClient(base_url=there.url, timeout=30) as device:
                stored = await device.post("/v1/captures", json=upload_body("D1", answer["trigger_id"]))
                assert stored.status_code == 201
            seen = await client.get(f"/v1/captures/{stored.json()['record_id']}/picture")
            assert seen.status_code == 200 and seen.content.startswith(b"\xff\xd8")
            row = (await client.get(f"/v1/triggers/D1/{answer['trigger_id']}")).json()
            assert row["status"] == "executed"
        await count(client, 0, within=120)


async def test_a_killed_process_holds_no_streams_after_a_while(two: Two) -> None:
    here, there = two
    async with httpx.AsyncClient(base_url=here.url, timeout=30) as client, stream(there.url, "D1"):
        await count(client, 1, within=120)
        there.popen.kill()
        await count(client, 0, within=120)
        assert (await client.post("/v1/devices/D1/trigger")).json()["status"] == "queued"


async def told(url: str, device_id: str) -> bool:
    """Whether a stream that opens there is told to be a duplicate; it is closed again."""
    one = await connect(url, device_id)
    try:
        return bool((await one.next())["duplicate"])
    finally:
        one.close()


async def test_the_bell_carries_a_trigger_to_another_process_long_before_it_looks(two_with_bell: Two) -> None:
    here, there = two_with_bell
    async with httpx.AsyncClient(base_url=here.url, timeout=30) as client:
        one = await connect(there.url, "D1")
        await count(client, 1, within=60)
        async with asyncio.timeout(20):  # by looking alone each would take up to 5 s
            for _ in range(10):
                answer = (await client.post("/v1/devices/D1/trigger")).json()
                assert answer["connected"] is True
                assert await one.until("trigger_id") == answer["trigger_id"]
        await client.patch("/v1/devices/D1", json={"active": False})
        assert await one.ended()
        one.close()
    assert "no longer welcome" not in there.log.read_text(), "it was told, before it looked"


async def test_redis_away_delays_a_trigger_and_loses_none(two_with_bell: Two, redis: RedisServer) -> None:
    here, there = two_with_bell
    async with httpx.AsyncClient(base_url=here.url, timeout=30) as client:
        one = await connect(there.url, "D1")
        await count(client, 1, within=60)
        redis.kill()
        for process in two_with_bell:
            await asyncio.to_thread(process.find, "(the bell is away)")
        for _ in range(2):
            trigger_id = (await client.post("/v1/devices/D1/trigger")).json()["trigger_id"]
            assert await one.until("trigger_id") == trigger_id
        redis.start()
        for process in two_with_bell:
            await asyncio.to_thread(process.find, "(the bell rings again)")
        await count(client, 1, within=60)
        async with asyncio.timeout(20):
            for _ in range(10):
                trigger_id = (await client.post("/v1/devices/D1/trigger")).json()["trigger_id"]
                assert await one.until("trigger_id") == trigger_id
        one.close()


async def left(process: Process, redis: RedisServer) -> None:
    """Until the process has noticed that its stream has gone, and has said so to Redis."""
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as client:
        await count(client, 0, within=60)
    async with asyncio.timeout(60), Redis.from_url(redis.url) as asked:
        while [key async for key in asked.scan_iter(match="*:streams:*") if await asked.hlen(key)]:
            await asyncio.sleep(0.01)


async def test_with_a_bell_only_a_device_that_is_really_there_twice_is_called_a_duplicate(
    two_with_bell: Two, redis: RedisServer
) -> None:
    here, there = two_with_bell
    for _ in range(3):  # it moves to and fro
        assert not await told(here.url, "D1")
        await left(here, redis)
        assert not await told(there.url, "D1")
        await left(there, redis)
    one = await connect(here.url, "D1")
    async with httpx.AsyncClient(base_url=there.url, timeout=30) as client:
        await count(client, 1, within=60)
    assert await told(there.url, "D1"), "it is connected to the other process"
    here.popen.kill()
    here.popen.wait(60)
    assert not await told(there.url, "D1")
    one.close()


async def test_without_a_bell_a_device_that_moves_is_no_duplicate_of_itself(two: Two) -> None:
    here, there = two
    one = await connect(here.url, "D1")
    async with httpx.AsyncClient(base_url=there.url, timeout=30) as client:
        await count(client, 1, within=60)
    here.popen.kill()
    here.popen.wait(60)
    one.close()
    assert not await told(there.url, "D1")


@pytest.fixture
def workers(tmp_path: Path, database: str, redis: RedisServer) -> Iterator[Process]:
    """Two workers below one supervisor."""
    one = Process(tmp_path, DATABASE_URL=database, REDIS_URL=redis.url)
    yield one.start("--workers", "2")
    one.end()


def children(process: Process) -> list[int]:
    pid = process.popen.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def until_ready(process: Process, times: int) -> None:
    async with asyncio.timeout(120):
        while process.log.read_text().count("cloud ready") < times:
            await asyncio.sleep(0.05)


async def test_a_worker_that_is_killed_is_started_again_and_its_devices_are_served_meanwhile(workers: Process) -> None:
    await until_ready(workers, 2)
    streams: list[Any] = []
    while not all(re.search(rf"stream opened .*worker={number}", workers.log.read_text()) for number in (1, 2)):
        streams.append(await connect(workers.url, f"D{len(streams)}"))  # whoever accepts it has it
        assert (await streams[-1].next())["duplicate"] is False
        assert len(streams) < 500, "both workers serve"
    killed, stays = children(workers)
    os.kill(killed, signal.SIGKILL)
    ended = 0
    async with httpx.AsyncClient(base_url=workers.url, timeout=30) as client:
        for number, one in enumerate(streams):
            device_id = f"D{number}"
            trigger_id = None
            async with asyncio.timeout(60):
                while trigger_id is None:
                    with suppress(httpx.TransportError):
                        trigger_id = (await client.post(f"/v1/devices/{device_id}/trigger")).json()["trigger_id"]
            try:
                assert await one.until("trigger_id") == trigger_id
            except (EOFError, ConnectionError):
                ended += 1
                one.close()
                again = await connect(workers.url, device_id)
                assert (await again.next())["duplicate"] is False
                assert await again.until("trigger_id") == trigger_id
                again.close()
            one.close()
    assert 0 < ended < len(streams), "the other worker's streams stayed"
    await until_ready(workers, 3)
    assert stays in children(workers) and killed not in children(workers) and len(children(workers)) == 2
    assert workers.run("health").stdout.startswith("healthy")
    workers.popen.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(workers.popen.wait, 60) == 0, workers.log.read_text()


async def test_workers_end_with_their_supervisor(workers: Process) -> None:
    await until_ready(workers, 2)
    both = children(workers)
    workers.popen.kill()
    workers.popen.wait(60)
    async with asyncio.timeout(60):
        while any(Path(f"/proc/{pid}/stat").exists() for pid in both):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "2"], "--workers 2 needs PostgreSQL, for SQLite serves one process: set DATABASE_URL"),
        (["--workers", "0"], "--workers '0': a number from 1 to 64 must follow"),
        (["--workers", "two"], "--workers 'two': a number from 1 to 64 must follow"),
        (["--workers"], "--workers '': a number from 1 to 64 must follow"),
        (["--worker", "2"], "it takes --workers N and nothing else"),
    ],
)
def test_workers_that_cannot_be_had_end_the_start_with_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    done = Process(tmp_path).run("run", *words)
    assert done.returncode == 78 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
