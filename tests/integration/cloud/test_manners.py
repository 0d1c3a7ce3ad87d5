"""What is bounded before anybody asks who it is: a request's headers, what waits behind it, what is left unread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.support.half_request import HalfRequest
from visant_cloud import connections

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # none of it is about the database

Send = Callable[[bytes], Awaitable[HalfRequest]]
_GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\n"


@pytest.fixture
async def send(start: Any) -> AsyncIterator[Send]:
    """`await send(data)`: a connection on which that was sent."""
    cloud = await start(auth="required")
    made: list[asyncio.StreamWriter] = []

    async def send(data: bytes) -> HalfRequest:
        reader, writer = await asyncio.open_connection(*cloud.url.removeprefix("http://").split(":"))
        made.append(writer)
        writer.write(data)
        return HalfRequest(reader, writer)

    yield send
    for writer in made:
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"X-Large: " + b"a" * 33_000 + b"\r\n\r\n",
        b"Cookie: " + b"a=b; " * 7_000 + b"\r\n\r\n",
        b"".join(b"X-%d: 1\r\n" % number for number in range(101)) + b"\r\n",
        b"".join(b"X-%d: %b\r\n" % (number, b"a" * 400) for number in range(90)) + b"\r\n",
    ],
)
async def test_headers_that_are_too_large_or_too_many_are_refused(send: Send, head: bytes) -> None:
    one = await send(_GET + head)
    assert await one.answer() == 431 and one.problem["reason"] == "too_large"
    assert await one.closed()
    assert await (await send(_GET + b"Cookie: " + b"a=b; " * 1_000 + b"\r\n\r\n")).answer() == 200


@pytest.mark.parametrize("beginning", [_GET + b"X-Large: ", b"GET /healthz?", _GET])
async def test_headers_without_an_end_are_refused_long_before_their_time_is_over(
    send: Send, beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADERS_WITHIN", 1000.0)
    one = await send(beginning)
    piece = b"a: b\r\n" * 100 if beginning == _GET else b"a" * 600
    for _ in range(connections.HEAD_BYTES // len(piece) * 2):
        one.send(piece)
        await asyncio.sleep(0)
    assert await one.answer() in (431, 0), "0: what it sent on reached a closed connection"
    assert await one.closed()


async def test_requests_behind_one_another_are_few(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    on_headers_complete = connections.Connection.on_headers_complete

    def counted(one: connections.Connection) -> None:
        nonlocal most
        on_headers_complete(one)
        most = max(most, len(one.pipeline))

    monkeypatch.setattr(connections.Connection, "on_headers_complete", counted)
    few = await send((_GET + b"\r\n") * 5)
    assert [await few.answer() for _ in range(5)] == [200] * 5
    many = await send((_GET + b"\r\n") * 5000)
    assert await many.closed()
    assert 0 < most <= connections.PIPELINED


async def test_what_is_no_http_is_told_so_without_a_line_in_the_log(
    send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    for junk in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELO there\r\n\r\n",
        b"GET / HTTP/1.1\r\nA B: c\r\n\r\n",
    ):
        one = await send(junk + b"\r\n\r\n")
        assert await one.answer() == 400 and one.problem["reason"] == "no_http"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert await one.closed()
    assert not caplog.records


async def test_what_still_comes_after_a_refusal_is_taken_for_a_while_so_that_the_refusal_is_read(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = b"POST /v1/captures HTTP/1.1\r\nHost: test\r\nContent-Length: 500000\r\n\r\n"
    whole = await send(refused + b"x" * 500_000)
    assert await whole.answer() == 401
    whole.send(_GET + b"\r\n")
    assert await whole.answer() == 200, "the connection is as good as before"
    endless = await send(refused.replace(b"Content-Length: 500000", b"Content-Length: 500000000"))
    assert await endless.answer() == 401
    for _ in range(connections.UNREAD_BYTES // 100_000 + 20):
        endless.send(b"x" * 100_000)
        await asyncio.sleep(0)
    assert await endless.closed()
    monkeypatch.setattr(connections, "UNREAD_WITHIN", 0.3)
    slow = await send(refused + b"x")
    assert await slow.answer() == 401
    assert await slow.closed()
