"""Peers that connect and do nothing, or half of it, and the connections that a process may hold."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cloud_process import PROGRAM, Process
from tests.support.raw_stream import connect
from visant_cloud import connections

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # none of it is about the database


@pytest.fixture
def few_files(tmp_path: Path, engine: str) -> Iterator[Process]:
    """A cloud that may hold 300 descriptors."""
    one = Process(tmp_path, PING_EVERY="1")
    one.program = ["prlimit", "--nofile=300:300", *PROGRAM]
    yield one.start()
    one.end()


def address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


async def test_400_idle_sockets_neither_end_the_process_nor_keep_a_device_out(few_files: Process) -> None:
    held = await connect(few_files.url, "D1")
    with ExitStack() as idle:
        for _ in range(400):
            idle.enter_context(socket.create_connection(address(few_files.url), timeout=60))
        async with httpx.AsyncClient(base_url=few_files.url, timeout=30) as client, asyncio.timeout(60):
            while True:
                with suppress(ConnectionError):
                    stream = await connect(few_files.url, "D2")
                    if stream.status == 200:
                        break
                    stream.close()
                    assert stream.status == 503 and int(stream.headers["retry-after"]) > 0
                await asyncio.sleep(0.1)
            trigger_id = (await client.post("/v1/devices/D2/trigger")).json()["trigger_id"]
            assert await stream.until("trigger_id") == trigger_id
        await held.pings(2)
    assert few_files.popen.poll() is None
    assert "Traceback" not in few_files.log.read_text(), few_files.log.read_text()
    held.close()
    stream.close()


async def test_with_every_connection_in_use_the_next_is_told_so(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = await start()
    streams = [await connect(cloud.url, f"D{number}") for number in range(3)]
    for one in gc.get_objects():
        if type(one) is connections.Connections:
            monkeypatch.setattr(one, "limit", 3)
    refused = await connect(cloud.url, "D3")
    assert refused.status == 503 and refused.headers["connection"] == "close"
    assert refused.headers["content-type"] == "application/problem+json"
    for one in (*streams, refused):
        one.close()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: te", b"408"),
        (b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\nGET /hea", b"200"),
        (b"POST /v1/captures HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n{", b"408"),
    ],
)
async def test_half_a_request_is_given_up(
    start: Any, monkeypatch: pytest.MonkeyPatch, sent: bytes, answer: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADERS_WITHIN", 0.5)
    monkeypatch.setattr(connections, "BODY_SILENCE", 0.5)
    cloud = await start()
    reader, writer = await asyncio.open_connection(*address(cloud.url))
    writer.write(sent)
    async with asyncio.timeout(30):
        got = await reader.read()
    assert got[9:12] == answer
    writer.close()


@pytest.mark.parametrize("behind", [b"\0\0\0", b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n\0"])
async def test_garbage_behind_a_request_is_not_answered_in_its_place(start: Any, behind: bytes) -> None:
    """That it leaves no traceback either, tests/fuzz holds: asyncio's own loop says nothing of a closed connection."""
    cloud = await start()
    reader, writer = await asyncio.open_connection(*address(cloud.url))
    writer.write(b"GET /v1/devices HTTP/1.1\r\nHost: test\r\n\r\n" + behind)
    answer = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(30):
            answer = await reader.read()
    assert b" 400 " not in answer
    writer.close()


async def test_what_is_no_http_is_a_problem(start: Any) -> None:
    cloud = await start()
    reader, writer = await asyncio.open_connection(*address(cloud.url))
    writer.write(b"\x16\x03\x01 is TLS\r\n\r\n")
    async with asyncio.timeout(30):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in answer
    writer.close()


async def test_a_body_that_comes_slowly_is_not_given_up(
    start: Any, monkeypatch: pytest.MonkeyPatch, upload_body: Any
) -> None:
    monkeypatch.setattr(connections, "BODY_SILENCE", 1.5)
    cloud = await start()
    await cloud.register()
    body = httpx.Request("POST", cloud.url, json=upload_body("D1", "t")).content

    async def slowly() -> Any:
        for start in range(0, len(body), len(body) // 5):
            yield body[start : start + len(body) // 5]
            await asyncio.sleep(0.6)

    assert (await cloud.client.post("/v1/captures", content=slowly())).status_code == 201


async def test_a_stream_that_is_not_read_is_ended_and_replayed_later(
    start: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(connections, "STALLED", 0.5)
    cloud = await start(ping_every=0.5)
    stream = await connect(cloud.url, "D1", receive_buffer=4096)
    wanted = await cloud.trigger("D1")
    many = {"note": "x" * 60_000}
    for number in range(200):  # until more waits than kernel and cloud hold for one connection
        if not cloud.cloud.hub.subscribers("D1"):
            break
        await cloud.client.put("/v1/devices/D1/config", json={**many, "number": number})

    async def ended() -> bool:
        return not cloud.cloud.hub.subscribers("D1")

    await eventually(ended)
    again = await connect(cloud.url, "D1")
    assert await again.until("trigger_id") == wanted
    stream.close()
    again.close()
