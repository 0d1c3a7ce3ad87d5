"""A fake cloud on a raw socket: a test decides byte by byte what a stream carries, and when it falls silent."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Self

from tests.support.redis import free_port

EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Stream:
    """One connection of a device, after its request was read."""

    def __init__(self, request: str, writer: asyncio.StreamWriter, closed: asyncio.Event) -> None:
        self.request = request
        self.line = request.split("\r\n", 1)[0]
        self._writer = writer
        self._closed = closed

    def header(self, name: str) -> str | None:
        """A field of the request, or None."""
        for line in self.request.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    async def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def accept(self) -> None:
        """200 and an event stream."""
        await self.raw(EVENT_STREAM)

    async def send(self, message: dict[str, Any], *, id: str | None = None) -> None:
        """One event."""
        head = f"id: {id}\n" if id is not None else ""
        await self.raw(f"{head}data: {json.dumps(message)}\n\n".encode())

    async def connected(self, cloud_id: str | None = "cloud-1", **extensions: Any) -> None:
        """Accepts, and says `connected` as our cloud does; cloud_id None: as a plain cloud does."""
        await self.accept()
        message: dict[str, Any] = {"event": "connected", "device_id": "FLOOR1", **extensions}
        if cloud_id is not None:
            message |= {"cloud_id": cloud_id, "server_time": server_time()}
        await self.send(message)

    async def capture(self, trigger_id: str, *, id: str | None = None, **extensions: Any) -> None:
        """A capture command."""
        await self.send({"cmd": "capture", "trigger_id": trigger_id, "type": "manual", **extensions}, id=id)

    async def ping(self, **extensions: Any) -> None:
        """A ping."""
        await self.send({"event": "ping", **extensions})

    async def answer(self, status: int, body: dict[str, Any] | None = None, **fields: str) -> None:
        """A whole answer that is no stream."""
        content = json.dumps(body or {}).encode()
        head = f"HTTP/1.1 {status} Scripted\r\nContent-Length: {len(content)}\r\nConnection: close\r\n"
        head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        await self.raw(head.encode() + b"\r\n" + content)

    async def hold(self) -> None:
        """Until the device closes the connection."""
        await self._closed.wait()


Script = Callable[[Stream], Awaitable[None]]


def server_time(ahead: float = 0.0) -> str:
    """The fake cloud's clock: this machine's, `ahead` seconds before it."""
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + ahead, UTC).isoformat()


class FakeScriptedCloud:
    """Async context manager. Each connection runs the next of `scripts`, the last one again and again."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.streams: list[Stream] = []
        self.ended = 0
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What a device takes as API_URL."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens, on the same port each time."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=1 << 20)

    async def stop(self) -> None:
        """Refuses connections and cuts those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            closed = asyncio.Event()
            watch = asyncio.create_task(_watch(reader, closed))
            stream = Stream(request, writer, closed)
            self.streams.append(stream)
            script = self.scripts[min(len(self.streams), len(self.scripts)) - 1]
            try:
                await script(stream)
            finally:
                watch.cancel()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.ended += 1
            self._tasks.discard(task)
            writer.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _watch(reader: asyncio.StreamReader, closed: asyncio.Event) -> None:
    try:
        while await reader.read(4096):
            pass
    except OSError:
        pass
    closed.set()
