"""A fake of the network between a device and its cloud: an HTTP proxy on loopback that misbehaves when told.

It passes requests on unchanged over a connection of its own for each client connection. While a fault is set it
answers in the cloud's place, hangs, loses the receipt, cuts the command stream, or lets its bytes vanish with TCP up.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

_HEAD_LIMIT = 64 << 10
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class Answer:
    """The proxy answers `status` itself; the cloud never hears of the request."""

    status: int
    retry_after: int | None = None
    page: bool = False
    """With a page as a body, as proxies answer; else with problem details, as the cloud does."""

    def encode(self) -> bytes:
        """As HTTP/1.1 bytes."""
        body = b'{"title":"fault","status":%d,"detail":"the fault proxy says so"}' % self.status
        kind = "text/html" if self.page else "application/problem+json"
        if self.page:
            body = b"<html><body><center>%d</center></body></html>" % self.status
        head = f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Fault')}\r\ncontent-type: {kind}\r\n"
        if self.retry_after is not None:
            head += f"retry-after: {self.retry_after}\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


UploadFault = Answer | Literal["hang", "lose_receipt", "captive_portal"] | None

_PORTAL = b"<html><body>Please sign in to the hotel's network</body></html>"


@dataclass
class Faults:
    """What goes wrong now; change it at any time."""

    uploads: UploadFault = None
    """For POST /v1/captures."""
    posts: Answer | None = None
    """For every POST: pictures, outcomes, telemetry."""
    firewall: Callable[[bytes], bool] | None = None
    """Uploads whose head it says True of are answered with a page, 403."""
    strip: bytes = b""
    """The header of this name, in lower case, is taken out of uploads."""
    swallow_stream: bool = False
    """Bytes of open command streams vanish; TCP stays up."""
    buffer_stream: bool = False
    """Bytes of command streams are held back and arrive together when this ends."""
    refuse: bool = False
    """New connections are closed at once."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often each fault struck, to show that a scenario did what it says."""

    def struck(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


class FaultProxy:
    """Listens on `port` of loopback and passes on to `upstream_port`."""

    def __init__(self, port: int, upstream_port: int) -> None:
        self.port = port
        self.faults = Faults()
        self.bytes_up = 0
        self.bytes_down = 0
        self.uploads_under_way = 0
        """Handed to the cloud, and not answered yet."""
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Begins to listen; a second call changes nothing."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_HEAD_LIMIT)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut_streams(self) -> int:
        """Resets every open command stream; how many there were."""
        streams = list(self._streams)
        for writer in streams:
            self.faults.struck("stream cut")
            _reset(writer)
        return len(streams)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if self.faults.refuse:
                self.faults.struck("refused")
                return
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one of the two ends went away
        except asyncio.CancelledError:
            pass  # the proxy stops; asyncio.Server would log it as an error
        finally:
            self._connections.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
                body = await reader.readexactly(_length(head))
                self.bytes_up += len(head) + len(body)
                upload = method == "POST" and path.split("?")[0].endswith("/v1/captures")
                if method == "POST" and self.faults.posts is not None:
                    self.faults.struck(f"post answered {self.faults.posts.status}")
                    writer.write(self.faults.posts.encode())
                    await writer.drain()
                    continue
                if upload and self.faults.firewall is not None and self.faults.firewall(head):
                    self.faults.struck("upload refused by the firewall")
                    writer.write(Answer(403, page=True).encode())
                    await writer.drain()
                    continue
                if upload and self.faults.strip and self.faults.strip in head.lower():
                    self.faults.struck("header stripped")
                    head = _without(head, self.faults.strip)
                if upload and isinstance(self.faults.uploads, Answer):
                    self.faults.struck(f"upload answered {self.faults.uploads.status}")
                    writer.write(self.faults.uploads.encode())
                    await writer.drain()
                    continue
                if upload and self.faults.uploads == "captive_portal":
                    self.faults.struck("upload answered by a portal")
                    writer.write(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n" % len(_PORTAL)
                    )
                    writer.write(_PORTAL)
                    await writer.drain()
                    continue
                if upload and self.faults.uploads == "hang":
                    self.faults.struck("upload hung")
                    await reader.read()  # until the client gives up
                    return
                if upstream is None or upstream[0].at_eof():
                    upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=_HEAD_LIMIT)
                self.uploads_under_way += upload
                try:
                    upstream[1].write(head + body)
                    await upstream[1].drain()
                    answer = await upstream[0].readuntil(b"\r\n\r\n")
                    if b"text/event-stream" in answer.lower():
                        await self._relay_stream(answer, upstream[0], reader, writer)
                        return
                    answer += await _answer_body(answer, upstream[0])
                finally:
                    self.uploads_under_way -= upload
                if upload and self.faults.uploads == "lose_receipt":
                    self.faults.struck("receipt lost")
                    _reset(writer)
                    return
                self.bytes_down += len(answer)
                writer.write(answer)
                await writer.drain()
                if b"\r\nconnection: close" in answer.lower():
                    return
        finally:
            if upstream is not None:
                upstream[1].close()

    async def _relay_stream(
        self, head: bytes, upstream: asyncio.StreamReader, client: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._streams.add(writer)
        gone = asyncio.create_task(client.read())  # a client of a stream sends nothing more; its end shows here
        chunk: asyncio.Task[bytes] | None = None
        held = head
        try:
            while True:
                if held and not self.faults.buffer_stream:
                    self.bytes_down += len(held)
                    writer.write(held)
                    held = b""
                    await writer.drain()
                chunk = chunk or asyncio.create_task(upstream.read(65536))
                await asyncio.wait({chunk, gone}, return_when=asyncio.FIRST_COMPLETED, timeout=0.2 if held else None)
                if gone.done():
                    return
                if not chunk.done():
                    continue
                data, chunk = chunk.result(), None
                if self.faults.swallow_stream:
                    self.faults.struck("stream bytes swallowed")
                    if not data:  # the end of the cloud's side vanishes like the rest
                        await gone
                        return
                elif not data:
                    return
                else:
                    held += data
                    if self.faults.buffer_stream:
                        self.faults.struck("stream bytes held back")
        finally:
            gone.cancel()
            if chunk is not None:
                chunk.cancel()
            self._streams.discard(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with RST instead of the FIN of a polite end."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _without(head: bytes, name: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.partition(b":")[0].lower() != name)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


async def _answer_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    lower = head.lower()
    if b"transfer-encoding: chunked" not in lower:
        return await reader.readexactly(_length(head))
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if size == 0:
            return body
