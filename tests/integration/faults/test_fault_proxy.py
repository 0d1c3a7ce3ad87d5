"""The fault proxy does what a scenario asks of it, and nothing when nothing is asked."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from emulation.ports import hold_port, release_port
from tests.faults.fault_proxy import Answer, FaultProxy


class Upstream:
    """A scripted cloud: counts what it gets, streams a line every 50 ms."""

    def __init__(self) -> None:
        self.uploads: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
            )
            body = await reader.readexactly(length)
            if b"/commands" in head:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
                number = 0
                while True:
                    writer.write(b"data: %d\n\n" % number)
                    await writer.drain()
                    number += 1
                    await asyncio.sleep(0.05)
            self.uploads.append(body)
            answer = b'{"record_id":"%d"}' % len(self.uploads)
            writer.write(
                b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
                % (len(answer), answer)
            )


@pytest.fixture
async def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def proxy(upstream: Upstream) -> AsyncIterator[FaultProxy]:
    ports = hold_port(), hold_port()
    server = await asyncio.start_server(upstream.accept, "127.0.0.1", ports[0])
    proxy = FaultProxy(ports[1], ports[0])
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()
    await upstream.stop()
    for port in ports:
        release_port(port)


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=proxy.url, trust_env=False, timeout=2.0) as client:
        yield client


async def test_without_a_fault_everything_passes_over_one_connection(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    for number in (1, 2):
        answer = await client.post("/v1/captures", content=b"x" * 300_000)
        assert answer.status_code == 201 and answer.json() == {"record_id": str(number)}
    assert [len(body) for body in upstream.uploads] == [300_000, 300_000]


async def test_an_answer_of_its_own_never_reaches_the_cloud(
    client: httpx.AsyncClient, proxy: FaultProxy, upstream: Upstream
) -> None:
    proxy.faults.uploads = Answer(429, retry_after=3)
    answer = await client.post("/v1/captures", content=b"x")
    assert answer.status_code == 429 and answer.headers["retry-after"] == "3"
    assert upstream.uploads == []
    assert proxy.faults.counts == {"upload answered 429": 1}


async def test_a_lost_receipt_reaches_the_cloud_and_not_the_device(
    client: httpx.AsyncClient, proxy: FaultProxy, upstream: Upstream
) -> None:
    proxy.faults.uploads = "lose_receipt"
    with pytest.raises(httpx.TransportError):
        await client.post("/v1/captures", content=b"picture")
    assert upstream.uploads == [b"picture"]


async def test_a_hanging_upload_hangs_until_the_client_gives_up(client: httpx.AsyncClient, proxy: FaultProxy) -> None:
    proxy.faults.uploads = "hang"
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/v1/captures", content=b"x", timeout=0.3)


async def test_swallowed_bytes_never_come_and_tcp_stays_up(client: httpx.AsyncClient, proxy: FaultProxy) -> None:
    async with client.stream("GET", "/v1/devices/A/commands") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "data: 0"
        proxy.faults.swallow_stream = True
        await asyncio.sleep(0.3)  # what was on its way has come; more must not
        while proxy.faults.counts.get("stream bytes swallowed", 0) < 3:
            await asyncio.sleep(0.02)
        proxy.faults.swallow_stream = False
        seen = []
        async for line in lines:
            if line:
                seen.append(int(line.removeprefix("data: ")))
            if (len(seen) > 3 and seen[-1] - seen[-2] > 1) or len(seen) > 30:
                break
        assert any(later - earlier > 3 for earlier, later in zip([0, *seen], seen, strict=False))


async def test_held_back_bytes_come_together_later(client: httpx.AsyncClient, proxy: FaultProxy) -> None:
    proxy.faults.buffer_stream = True

    async def first_line() -> str:
        async with client.stream("GET", "/v1/devices/A/commands", timeout=5.0) as stream:
            return await anext(stream.aiter_lines())

    reading = asyncio.create_task(first_line())
    while proxy.faults.counts.get("stream bytes held back", 0) < 3:
        await asyncio.sleep(0.02)
    assert not reading.done()
    proxy.faults.buffer_stream = False
    assert await reading == "data: 0"


async def test_a_cut_stream_ends_at_once(client: httpx.AsyncClient, proxy: FaultProxy) -> None:
    began = time.monotonic()

    async def read() -> None:
        async with client.stream("GET", "/v1/devices/A/commands") as stream:
            async for line in stream.aiter_lines():
                if line:
                    proxy.cut_streams()

    with pytest.raises(httpx.TransportError):
        await read()
    assert proxy.faults.counts == {"stream cut": 1}
    assert time.monotonic() - began < 1.5
