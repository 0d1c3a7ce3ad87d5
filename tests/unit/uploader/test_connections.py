"""Connections to the cloud that are kept, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.unit.uploader.conftest import Make
from visant_contract.errors import Retryable
from visant_runtime.clock import Clock
from visant_uploader.counters import Counters
from visant_uploader.delivery import connections
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool.file_format import decode, encode

RECEIPT = b'HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{"record_id":"1"}'


@dataclass
class Cloud:
    """Answers every request, on as many connections as are opened."""

    url: str = ""
    opened: int = 0
    served: int = 0
    dead: bool = False
    """A request on a connection that was used before is never answered: cut, as a router does that forgot it."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.writers.append(writer)
        used = False
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
                )
                await reader.readexactly(length)
                if self.dead and used:
                    writer.transport.abort()
                    return
                used = True
                self.served += 1
                writer.write(RECEIPT)
        except (asyncio.IncompleteReadError, OSError):
            pass


@asynccontextmanager
async def running() -> AsyncIterator[Cloud]:
    cloud = Cloud()
    server = await asyncio.start_server(cloud.serve, "127.0.0.1", 0)
    cloud.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield cloud
    finally:
        server.close()
        for writer in cloud.writers:
            writer.close()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[CloudClient]:
    told = UploaderSettings(device_id="FLOOR1", api_url=url, upload_timeout=5.0)
    one = CloudClient(told, Clock(), counters=Counters(), device_version="2.0.0")
    try:
        yield one
    finally:
        await one.close()


async def send(make: type[Make], to: CloudClient, *, plain: bool = False) -> None:
    outcome = decode(b"".join(encode(make.picture(plain=plain), b"\xff\xd8\xff\xd9")[1]))
    await to.send_picture(outcome, make.noon, make.time(), raw=False)


async def test_a_picture_a_minute_finds_its_connection_to_our_cloud(make: type[Make]) -> None:
    assert connections.LONG > 60
    async with running() as cloud, client(cloud.url) as to:
        for _ in range(3):
            await send(make, to)
        assert (cloud.opened, cloud.served) == (1, 3)


async def test_a_plain_cloud_has_connections_of_its_own_which_are_kept_briefly(
    make: type[Make], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BRIEFLY", 0.2)
    async with running() as cloud, client(cloud.url) as to:
        for plain in (True, False):
            await send(make, to, plain=plain)
        await asyncio.sleep(0.4)
        for plain in (True, False):
            await send(make, to, plain=plain)
        assert (cloud.opened, cloud.served) == (3, 4)


async def test_after_a_confirmed_stream_a_picture_gets_a_connection_of_its_own(make: type[Make]) -> None:
    async with running() as cloud, client(cloud.url) as to:
        await send(make, to)
        to.renew()
        await send(make, to)
        await send(make, to)
        assert (cloud.opened, cloud.served) == (2, 3)


async def test_one_that_idled_and_was_dead_costs_no_attempt_and_is_kept_briefly_from_then_on(
    make: type[Make], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BRIEFLY", 0.2)
    async with running() as cloud, client(cloud.url) as to:
        await send(make, to)
        await asyncio.sleep(0.4)
        cloud.dead = True
        await send(make, to)  # on a second connection, at once
        assert (cloud.opened, cloud.served) == (2, 2)
        await asyncio.sleep(0.4)
        await send(make, to)
        assert (cloud.opened, cloud.served) == (3, 3)


async def test_a_fresh_connection_that_breaks_is_a_failure_of_the_way(make: type[Make]) -> None:
    async with running() as cloud, client(cloud.url) as to:
        await send(make, to)
        cloud.dead = True
        with pytest.raises(Retryable):  # it idled no longer than a backlog lets one: no second try at once
            await send(make, to)
        assert cloud.served == 1


async def test_a_network_that_is_away_is_no_stale_connection(make: type[Make], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BRIEFLY", 0.0)
    async with client("http://127.0.0.1:1") as to:
        await asyncio.sleep(0.05)
        with pytest.raises(Retryable, match="refuses connections"):
            await send(make, to)
        assert to._connections._longest == connections.LONG
