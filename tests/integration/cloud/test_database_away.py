"""PostgreSQL goes away under a running cloud and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.postgres import PostgresServer
from visant_cloud.database.engine import Database

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the server below is this test's own


async def test_a_database_that_is_away_is_503_with_retry_after_and_loses_nothing(start: Any) -> None:
    with PostgresServer() as server:
        cloud = await start(database_url=server.url("one"))
        await cloud.register("D1")
        before = await cloud.trigger("D1")
        server.stop()
        for method, path in (("GET", "/v1/devices"), ("POST", "/v1/devices/D1/trigger"), ("GET", "/readyz")):
            answer = await cloud.client.request(method, path)
            assert answer.status_code == 503, answer.text
            expected = "not_ready" if path == "/readyz" else "database"
            assert answer.json()["reason"] == expected and int(answer.headers["retry-after"]) > 0
        assert (await cloud.client.get("/healthz")).status_code == 200, "a restart would help nobody"
        answer = await cloud.capture("D1", before)
        assert answer.status_code == 503 and answer.headers["content-type"] == "application/problem+json"
        assert (await cloud.client.get("/v1/devices/D1/commands")).status_code == 503
        server.start()
        assert (await cloud.capture("D1", before)).status_code == 201
        assert (await cloud.row("D1", before))["status"] == "executed"


@asynccontextmanager
async def refusing(sqlstate: str) -> AsyncIterator[str]:
    """The URL of a PostgreSQL that answers every connection with this error, as one does that starts, stops or is full.

    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
    """

    async def packet(reader: asyncio.StreamReader) -> bytes:
        return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(await packet(reader)) == 4:  # it asks for TLS first
            writer.write(b"N")
            await packet(reader)
        fields = b"".join(
            kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"C", sqlstate), (b"M", "no"))
        )
        writer.write(b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"postgresql+asyncpg://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


@pytest.mark.parametrize("sqlstate", ["57P03", "57P01", "53300", "28P01", "3D000"])
async def test_a_database_that_starts_stops_or_is_full_is_503_with_retry_after(start: Any, sqlstate: str) -> None:
    cloud = await start()
    async with refusing(sqlstate) as url:
        kept, cloud.cloud.database = cloud.cloud.database, Database(url)
        for method, path in (("POST", "/v1/devices/D1/trigger"), ("GET", "/v1/devices/D1/commands"), ("GET", "/")):
            answer = await cloud.client.request(method, path)
            assert answer.status_code == 503, answer.text
            assert answer.json()["reason"] == "database" and int(answer.headers["retry-after"]) > 0
        await cloud.cloud.database.close()
        cloud.cloud.database = kept
