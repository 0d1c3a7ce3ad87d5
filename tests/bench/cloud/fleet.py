"""A fleet of devices in a process of its own: each holds a stream, and comes back by the rule of a real device.

Streams are asyncio protocols, not a client library, so that ten thousand of them cost little beside what is measured.
Who triggers is in the same process as who listens: both times are of one clock.
"""

import asyncio
import gc
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

from tests.bench.cloud.answers import Answer, Events
from tests.bench.cloud.names import API_TOKEN, device_id, device_token
from visant_connector.reconnect import STEADY, Reconnect

_ADDRESSES = 8
"""Source addresses 127.0.0.1 and on: each has 28,000 ports for outgoing connections."""
_AT_ONCE = 64
"""Connections that are opened, and triggers and pictures that are under way, at the same time."""
_LOST = 10.0
"""Seconds after which an event counts as one that never came."""
_IP_BIND_ADDRESS_NO_PORT = 24  # <linux/in.h>: the port is chosen by connect(), so that addresses share the range
RECONNECT_DELAY = 5.0
"""Seconds: what a device has where nothing is set."""


@dataclass(frozen=True)
class Count:
    """What happened to the streams since the fleet began, or since `forget`."""

    connected: int
    """Streams that are open and confirmed now."""
    confirmations: int
    """Events `connected`."""
    ended: int
    """Open streams that the server ended."""
    refused: dict[int, int]
    """Status -> how often a stream was refused with it (0: no connection)."""
    manual: int
    scheduled: int
    scheduled_again: int
    """Scheduled events beyond the first of a device."""
    pings: int
    last_confirmed: float
    """When the newest stream was confirmed, by CLOCK_MONOTONIC."""


@dataclass(frozen=True)
class Broadcast:
    """All devices triggered at once: seconds from the first POST to the last event, None where none came."""

    last_event: float | None
    heard: int
    not_accepted: int


@dataclass(frozen=True)
class Pages:
    """One page asked for again and again: milliseconds of each answer, and how large the last one was."""

    times: list[float]
    size: int
    failed: int


class Stream(asyncio.Protocol):
    """One device."""

    __slots__ = ("answer", "confirmed_at", "events", "fleet", "number", "outage", "reconnect", "transport")

    def __init__(self, fleet: "Fleet", number: int) -> None:
        self.fleet = fleet
        self.number = number
        self.reconnect = Reconnect(fleet.reconnect_delay)
        self.confirmed_at = 0.0
        self.outage = False
        """The bench killed the server: the stream's end is not the cloud's doing."""
        self.transport: asyncio.Transport | None = None
        self.answer = Answer()
        self.events = Events()

    async def dial(self) -> None:
        """Opens the stream, once."""
        self.answer, self.events, self.confirmed_at = Answer(), Events(), 0.0
        try:
            connection = await self.fleet.connection(self.number)
            await asyncio.get_running_loop().create_connection(lambda: self, sock=connection)
        except OSError:
            self.fleet.refused[0] += 1
            self.fleet.lost(self)
            self._again(None, steady=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.transport.write(
            f"GET /v1/devices/{device_id(self.number)}/commands HTTP/1.1\r\nHost: cloud\r\n"
            f"Authorization: Bearer {device_token(self.number)}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        text = self.answer.feed(data)
        if self.answer.status == 200:
            for event in self.events.feed(text):
                self._event(json.loads(event), now)
        if self.answer.ended and self.transport is not None:
            self.transport.close()

    def _event(self, event: dict[str, str], now: float) -> None:
        fleet = self.fleet
        if event.get("cmd") == "capture":
            fleet.heard(self.number, event["trigger_id"], event["type"], now)
        elif event.get("event") == "connected":
            self.confirmed_at = now
            fleet.confirmed(self, now)
        elif event.get("event") == "ping":
            fleet.pings += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.fleet.lost(self)
        if self.answer.status not in (0, 200):
            self.fleet.refused[self.answer.status] += 1
        elif self.confirmed_at and not self.outage:
            self.fleet.ended += 1
        stayed = self.confirmed_at and time.monotonic() - self.confirmed_at >= STEADY
        steady, self.outage = bool(stayed) or self.outage, False
        self._again(self.answer.retry_after, steady=steady)

    def _again(self, retry_after: float | None, *, steady: bool) -> None:
        """As the connector's relay does it, with its policy."""
        if self.fleet.closed:
            return
        policy = self.reconnect.steady() if steady else self.reconnect
        wait = policy.wait(self.fleet.rng, retry_after=retry_after)
        self.reconnect = policy.failed()
        asyncio.get_running_loop().call_later(wait, self.fleet.dial, self)


class Caller(asyncio.Protocol):
    """One connection that is kept, and one request on it at a time."""

    def __init__(self, fleet: "Fleet", url: str) -> None:
        self._fleet = fleet
        self._url = url
        self._transport: asyncio.Transport | None = None
        self._answer = Answer()
        self._body = b""
        self._done: asyncio.Future[tuple[int, bytes]] | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", *more: str, token: str = API_TOKEN
    ) -> tuple[int, bytes]:
        """(status, body); (0, b"") where the connection broke."""
        loop = asyncio.get_running_loop()
        head = [f"{method} {path} HTTP/1.1", "Host: cloud", f"Authorization: Bearer {token}"]
        head += [*more, f"Content-Length: {len(body)}", "", ""]
        try:
            if self._transport is None or self._transport.is_closing():
                connection = await self._fleet.connection(random.randrange(1000), self._url)
                await loop.create_connection(lambda: self, sock=connection)
        except OSError:
            return 0, b""
        self._answer, self._body, self._done = Answer(), b"", loop.create_future()
        assert self._transport is not None
        self._transport.write("\r\n".join(head).encode() + body)
        return await self._done

    @property
    def retry_after(self) -> float | None:
        """Seconds, where the last answer said so."""
        return self._answer.retry_after

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._body += self._answer.feed(data)
        if self._answer.ended:
            self._finish((self._answer.status, self._body))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._finish((0, b""))

    def _finish(self, answer: tuple[int, bytes]) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(answer)

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.abort()


@dataclass
class Fleet:
    """Devices `first`, `first` + `step`, ... (`count` of them) at the server at `url`."""

    url: str
    count: int
    first: int = 0
    step: int = 1
    reconnect_delay: float = RECONNECT_DELAY
    refused: "Counter[int]" = field(default_factory=Counter)
    ended: int = 0
    pings: int = 0
    confirmations: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self.rng = random.Random(self.first)
        self._streams = [Stream(self, self.first + place * self.step) for place in range(self.count)]
        self._open: set[int] = set()
        self._dialled: set[int] = set()
        self._scheduled: Counter[int] = Counter()
        self._manual = 0
        self._last_confirmed = 0.0
        self._last_heard = 0.0
        self._heard_at: dict[str, float] = {}
        self._awaited: dict[str, asyncio.Future[float]] = {}
        self._callers: dict[str, list[Caller]] = {}
        self._change = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connection(self, number: int, url: str = "") -> socket.socket:
        """A new connection to the server, from one of the source addresses. Raises OSError."""
        where = urlsplit(url or self.url)
        connection = socket.socket()
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.bind((f"127.0.0.{1 + number % _ADDRESSES}", 0))
            await asyncio.get_running_loop().sock_connect(connection, (where.hostname, where.port))
        except BaseException:
            connection.close()
            raise
        return connection

    def dial(self, stream: Stream) -> None:
        """Opens a stream, without waiting for it."""
        if not self.closed:
            self._dialled.add(stream.number)
            task = asyncio.get_running_loop().create_task(stream.dial())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def confirmed(self, stream: Stream, now: float) -> None:
        """The stream got its `connected`."""
        self.confirmations += 1
        self._last_confirmed = now
        self._open.add(stream.number)
        self._dialled.discard(stream.number)
        self._change.set()

    def lost(self, stream: Stream) -> None:
        """The stream's connection is gone, or there was none."""
        self._open.discard(stream.number)
        self._dialled.discard(stream.number)
        self._change.set()

    def heard(self, number: int, trigger_id: str, kind: str, now: float) -> None:
        """A command came to the device with this number."""
        if kind == "scheduled":
            self._scheduled[number] += 1
            return
        self._manual += 1
        self._last_heard = now
        self._heard_at[trigger_id] = now
        waiting = self._awaited.pop(trigger_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(now)

    async def tally(self) -> Count:
        """What happened so far."""
        return Count(
            connected=len(self._open),
            confirmations=self.confirmations,
            ended=self.ended,
            refused=dict(self.refused),
            manual=self._manual,
            scheduled=self._scheduled.total(),
            scheduled_again=self._scheduled.total() - len(self._scheduled),
            pings=self.pings,
            last_confirmed=self._last_confirmed,
        )

    async def forget(self) -> None:
        """Counts from now on."""
        self.ended = self.confirmations = self.pings = self._manual = 0
        self.refused.clear()
        self._scheduled.clear()
        self._heard_at.clear()

    async def connect(self, within: float) -> float:
        """Opens every stream, some at a time; the seconds until the last was confirmed, or `within`."""
        began = time.monotonic()
        for start in range(0, self.count, _AT_ONCE):
            for stream in self._streams[start : start + _AT_ONCE]:
                self.dial(stream)
            # those that were refused wait as a device does, and hold up nobody here
            await self._until(lambda: len(self._dialled) < _AT_ONCE, 10.0)
        await self.whole(within - (time.monotonic() - began))
        return time.monotonic() - began

    async def whole(self, within: float) -> bool:
        """Waits until every stream is open and confirmed; False where that took longer."""
        return await self._until(lambda: len(self._open) >= self.count, within)

    async def _until(self, true: Callable[[], bool], within: float) -> bool:
        deadline = time.monotonic() + within
        while not true():
            self._change.clear()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._change.wait()
            except TimeoutError:
                return true()
        return True

    async def outage(self) -> None:
        """The bench is about to kill the server: ends of open streams are its own doing."""
        for stream in self._streams:
            stream.outage = stream.transport is not None

    async def trigger(self, places: Sequence[int], url: str = "") -> list[float | None]:
        """Triggers these devices, one after the other; milliseconds from POST to event, None where none came."""
        times: list[float | None] = []
        caller = self._callers_of(url or self.url, 1)[0]
        for place in places:
            name = device_id(self._streams[place].number)
            began = time.monotonic()
            status, body = await caller.ask("POST", f"/v1/devices/{name}/trigger")
            at = await self._event_of(json.loads(body)["trigger_id"]) if status == 200 else None
            times.append(None if at is None else (at - began) * 1000)
        return times

    async def _event_of(self, trigger_id: str, within: float = _LOST) -> float | None:
        at = self._heard_at.get(trigger_id)
        if at is not None:
            return at
        self._awaited[trigger_id] = waiting = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(waiting, within)
        except TimeoutError:
            return None

    async def broadcast(self, within: float) -> Broadcast:
        """Triggers every device, `_AT_ONCE` at a time."""
        self._heard_at.clear()
        began = time.monotonic()
        numbers = iter([stream.number for stream in self._streams])
        asked: list[str] = []

        async def one_after_the_other(caller: Caller) -> None:
            for number in numbers:
                if time.monotonic() > began + within:
                    return
                status, body = await caller.ask("POST", f"/v1/devices/{device_id(number)}/trigger")
                if status == 200:
                    asked.append(json.loads(body)["trigger_id"])

        await asyncio.gather(*map(one_after_the_other, self._callers_of(self.url, _AT_ONCE)))
        deadline = time.monotonic() + _LOST
        while not all(trigger in self._heard_at for trigger in asked) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        heard = [self._heard_at[trigger] for trigger in asked if trigger in self._heard_at]
        return Broadcast(max(heard) - began if heard else None, len(heard), self.count - len(asked))

    async def pages(self, path: str, seconds: float, most: int) -> Pages:
        """Asks for a page again and again, for so long or so often."""
        caller = self._callers_of(self.url, 1)[0]
        times, size, failed = list[float](), 0, 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and len(times) + failed < most:
            began = time.monotonic()
            status, body = await caller.ask("GET", path)
            if status == 200:
                times.append((time.monotonic() - began) * 1000)
                size = len(body)
            else:
                failed += 1
                await asyncio.sleep(0.1)
        return Pages(times, size, failed)

    async def store(self, jpeg: bytes, pictures: int, mark: str) -> tuple[float, Counter[int]]:
        """Delivers pictures of its devices, some at a time: (seconds, status -> answers)."""
        numbers = iter(range(pictures))
        answers: Counter[int] = Counter()

        async def one_after_the_other(caller: Caller) -> None:
            for picture in numbers:
                stream = self._streams[picture % self.count]
                told = {
                    "device_id": device_id(stream.number),
                    "trigger_id": f"{mark}_{picture}",
                    "captured_at": datetime.now(UTC).isoformat(),
                    "metadata": {"device_version": "2.0.0"},
                }
                status, _ = await caller.ask(
                    "POST",
                    "/v1/captures",
                    jpeg,
                    "Content-Type: image/jpeg",
                    f"Visant-Capture: {json.dumps(told)}",
                    f"Idempotency-Key: {told['trigger_id']}",
                    token=device_token(stream.number),
                )
                answers[status] += 1

        began = time.monotonic()
        await asyncio.gather(*map(one_after_the_other, self._callers_of(self.url, _AT_ONCE // 4)))
        return time.monotonic() - began, answers

    async def ask(self, method: str, path: str) -> int:
        """One request; its status."""
        return (await self._callers_of(self.url, 1)[0].ask(method, path))[0]

    def _callers_of(self, url: str, count: int) -> list[Caller]:
        callers = self._callers.setdefault(url, [])
        while len(callers) < count:
            callers.append(Caller(self, url))
        return callers[:count]

    async def tidy(self) -> None:
        """Before a measurement: what earlier ones left is collected now, and not in the middle of it."""
        gc.collect()
        gc.freeze()

    async def close(self) -> None:
        """Ends every connection."""
        self.closed = True
        for stream in self._streams:
            if stream.transport is not None:
                stream.transport.abort()
        for callers in self._callers.values():
            for caller in callers:
                caller.close()
        await asyncio.sleep(0.1)
