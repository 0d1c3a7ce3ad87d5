"""Two processes of one cloud: one PostgreSQL, one picture folder, whichever a request reaches."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cloud_process import Process
from tests.support.postgres import PostgresServer


@pytest.fixture
def two(tmp_path: Path, postgres: PostgresServer) -> Iterator[tuple[Process, Process]]:
    shared = {"DATABASE_URL": postgres.url(f"two_{time.monotonic_ns()}"), "DATA_DIR": str(tmp_path / "shared")}
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        both.append(Process(tmp_path / name, **shared))
    try:
        yield both[0].start(), both[1].start()
    finally:
        for one in both:
            one.end()


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


async def test_a_trigger_posted_to_one_process_reaches_the_stream_of_another(
    two: tuple[Process, Process], upload_body: Any
) -> None:
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


async def test_a_killed_process_holds_no_streams_after_a_while(two: tuple[Process, Process]) -> None:
    here, there = two
    async with httpx.AsyncClient(base_url=here.url, timeout=30) as client, stream(there.url, "D1"):
        await count(client, 1, within=120)
        there.popen.kill()
        await count(client, 0, within=120)
        assert (await client.post("/v1/devices/D1/trigger")).json()["status"] == "queued"
