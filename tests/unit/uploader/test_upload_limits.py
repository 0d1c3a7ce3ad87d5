"""How long an upload may take: over real sockets, to ends that take it slowly, in part, or not at all."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.unit.uploader.conftest import Make
from visant_contract.errors import Retryable
from visant_runtime.clock import Clock
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool.file_format import decode, encode

PICTURE = b"\xff\xd8" + bytes(300_000) + b"\xff\xd9"
RECEIPT = b'HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{"record_id":"1"}'
FOR_EVER = 3600.0

End = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def other_end(behave: End) -> AsyncIterator[str]:
    """Its URL. It holds few bytes that were not read, and takes them in small segments, as an uplink does."""
    listening = socket.socket()
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behave(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, sock=listening, limit=4096)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_at(reader: asyncio.StreamReader, bytes_a_second: float, until: int) -> int:
    """Reads until so many bytes came, or the body's end; how many did."""
    came = 0
    while came < until:
        piece = await reader.read(2048)
        came += len(piece)
        if not piece or piece.endswith(b'"}'):
            break
        await asyncio.sleep(len(piece) / bytes_a_second)
    return came


async def send(make: type[Make], url: str, silence: float) -> str:
    told = UploaderSettings(device_id="FLOOR1", api_url=url, upload_timeout=silence)
    client = CloudClient(told, Clock(), counters=Counters(), device_version="2.0.0")
    outcome = decode(b"".join(encode(make.picture(), PICTURE)[1]))
    try:
        return await client.send_picture(outcome, make.noon, make.time(), raw=False)
    finally:
        await client.close()


async def test_a_slow_uplink_that_takes_bytes_all_the_time_delivers_however_long_it_takes(make: type[Make]) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_at(reader, 100_000, until=10**9)
        writer.write(RECEIPT)
        await writer.drain()

    began = time.monotonic()
    async with other_end(slow) as url:
        assert await send(make, url, silence=1.0) == "1"
    assert time.monotonic() - began > 3  # several times the limit


@pytest.mark.parametrize("taken", [0, 150_000])
async def test_an_end_that_takes_no_byte_more_is_given_up_after_the_silence(make: type[Make], taken: int) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_at(reader, 1e9, until=taken)
        await asyncio.sleep(FOR_EVER)

    began = time.monotonic()
    async with other_end(deaf) as url:
        with pytest.raises(Retryable, match=r"no byte taken for 1 s, \d+ of \d+ bytes sent before") as caught:
            await send(make, url, silence=1.0)
    assert caught.value.endpoint
    assert 1 <= time.monotonic() - began < 20


async def test_the_wait_for_an_answer_has_a_limit_of_its_own(make: type[Make], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visant_uploader.delivery.upload_limits.BEHIND_A_PROXY", 466_000.0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_at(reader, 1e9, until=10**9)
        await asyncio.sleep(FOR_EVER)

    async with other_end(silent) as url:
        with pytest.raises(Retryable, match="no answer within 2 s"):
            await send(make, url, silence=1.0)


async def test_an_answer_that_drips_in_is_bounded_too(make: type[Make], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visant_uploader.delivery.upload_limits.BEHIND_A_PROXY", 466_000.0)

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_at(reader, 1e9, until=10**9)
        for byte in RECEIPT * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    async with other_end(dripping) as url:
        with pytest.raises(Retryable, match="no answer within 2 s"):
            await send(make, url, silence=1.0)


async def test_an_uplink_that_takes_a_byte_now_and_then_is_given_up_in_the_end(
    make: type[Make], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SLOWEST", 400_000.0), ("BEHIND_A_PROXY", 4_000_000.0), ("CONNECT_TIMEOUT", 1.0)):
        monkeypatch.setattr(f"visant_uploader.delivery.upload_limits.{name}", value)

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_at(reader, 60_000, until=10**9)

    async with other_end(trickle) as url:
        with pytest.raises(Retryable, match="not done within 4 s: the uplink is slower than"):
            await send(make, url, silence=1.0)
