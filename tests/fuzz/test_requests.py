"""What comes in by the door is answered or shut out, whatever it is, and disturbs nobody who is inside."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import httpx

from tests.fuzz.conftest import Fuzzed, memory_and_sockets
from tests.fuzz.requests_near_http import Maker, Request
from tests.support.raw_stream import RawStream

PATHS = [
    *["/v1/devices/D1/commands"] * 8,
    "/v1/devices",
    "/v1/captures",
    "/v1/enrol",
    "/v1/devices/D1/trigger",
    "/v1/devices/D1/triggers/t/outcome",
    "/v1/triggers/D1/a/b/c",
    "/healthz",
    "/metrics",
    "/sign-in",
    "/",
    "/parts/fleet",
    "/static/style.css",
    "/static/../app.py",
    "/docs",
]
SEED = 14
BAD = ("500", "502", "504")
AT_ONCE = 40
WITHIN = 60.0
"""Seconds in which each must be answered or shut out; it takes 3 where the machine has nothing else to do."""
GROWTH = 24 << 20
"""Bytes that a second round of the same requests may add; after five rounds no more come (150 MB on Python 3.11)."""
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


async def send(cloud: Fuzzed, request: Request) -> bytes:
    """The beginning of what is answered; nothing where the connection was shut. TimeoutError: neither came."""
    host, port = cloud.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        async with asyncio.timeout(WITHIN):
            with suppress(OSError):  # shut while it was still sending
                for piece in request.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if request.half_closes:
                    writer.write_eof()
            with suppress(OSError):
                answer = await reader.read(65536)
                if b"event-stream" not in answer:  # a stream has no end
                    while b"\r\n\r\n" not in answer and (more := await reader.read(65536)):
                        answer += more
    finally:
        writer.transport.abort()
    return answer


async def all_of(cloud: Fuzzed, count: int) -> "Counter[str]":
    """Sends `count` requests, some at a time. How often what was answered; raises AssertionError at bad answers."""
    maker, gate = Maker(SEED, PATHS, cloud.device), asyncio.Semaphore(AT_ONCE)
    answers: Counter[str] = Counter()
    wrong: list[str] = []

    async def one(number: int, request: Request) -> None:
        async with gate:
            try:
                answer = await send(cloud, request)
            except TimeoutError:
                wrong.append(f"request {number} was neither answered nor shut out: {shown(request)}")
                return
        status = STATUS_LINE.match(answer)
        found = "shut" if status is None else status.group(1).decode()
        answers[found] += 1
        if (status is None and answer) or found in BAD or (found[0] in "45" and not is_problem(answer, request)):
            wrong.append(f"request {number}: {answer[:300]!r} to {shown(request)}")

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number, maker.request()))
    assert not wrong, "\n".join([f"{len(wrong)} of {count}, the first:", *wrong[:5]])
    return answers


def is_problem(answer: bytes, request: Request) -> bool:
    """An answer to HEAD has only the header of one."""
    return b"application/problem+json" in answer or b"HEAD " in bytes(request)


def shown(request: Request) -> str:
    text = bytes(request)
    return f"{text[:400]!r} ({len(text)} bytes)"


async def honest_stream(cloud: Fuzzed) -> RawStream:
    """A device of the cloud at its stream, confirmed."""
    host, port = cloud.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET /v1/devices/D2/commands HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer {await second(cloud)}\r\n\r\n"
    writer.write(head.encode())
    stream = RawStream(reader, writer)
    await stream.begin()
    assert stream.status == 200
    assert (await stream.next())["event"] == "connected"
    return stream


async def second(cloud: Fuzzed) -> str:
    async with httpx.AsyncClient(base_url=cloud.url, headers={"Authorization": f"Bearer {cloud.program}"}) as api:
        made = await api.post("/v1/devices", json={"device_id": "D2"})
        return str(json.loads(made.raise_for_status().text)["token"])


async def test_whatever_knocks_is_answered_or_shut_out_and_disturbs_no_stream(
    fuzzed: Callable[[str], Fuzzed], short: bool
) -> None:
    cloud, count = fuzzed("sqlite"), 1_000 if short else 10_000
    stream = await honest_stream(cloud)
    pid = cloud.process.popen.pid
    first = await all_of(cloud, count)
    await stream.pings(2)
    memory, files = memory_and_sockets(pid)
    again = await all_of(cloud, count)
    await stream.pings(2)
    assert first.total() == again.total() == count
    assert {"200", "400", "401", "404", "405", "408", "422", "shut"} <= set(first), (
        f"the requests are too tame: {first}"
    )
    async with httpx.AsyncClient(base_url=cloud.url, headers={"Authorization": f"Bearer {cloud.program}"}) as api:
        trigger_id = (await api.post("/v1/devices/D2/trigger")).json()["trigger_id"]
    assert await stream.until("trigger_id") == trigger_id
    await only_the_honest_stream_is_left(pid, files)
    grown = memory_and_sockets(pid)[0] - memory
    assert grown < GROWTH, f"{grown / 1e6:.1f} MB more after the second {count} requests"
    assert cloud.process.popen.poll() is None
    log = cloud.process.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
    stream.close()


async def only_the_honest_stream_is_left(pid: int, files: int) -> None:
    """Descriptors go back to what they were after the first round: its connections may have been ending still."""
    async with asyncio.timeout(WITHIN):
        while memory_and_sockets(pid)[1] > files:
            await asyncio.sleep(0.1)
