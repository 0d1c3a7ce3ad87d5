"""A device's stream over a plain socket: a hundred HTTP clients would cost more than what they test."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class RawStream:
    """One answer, read as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}

    async def begin(self) -> None:
        """Reads status and headers; ConnectionError where there is no answer."""
        words = (await self._reader.readline()).split()
        if not words:
            raise ConnectionResetError("no answer")
        self.status = int(words[1])
        while line := (await self._reader.readline()).strip():
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value

    async def next(self, timeout: float = 60.0) -> dict[str, Any]:
        """The next message; EOFError at the end."""
        async with asyncio.timeout(timeout):
            while line := await self._reader.readline():
                if line.startswith(b"data:"):
                    return dict(json.loads(line[5:]))
                if line == b"0\r\n":
                    break
        raise EOFError

    async def until(self, key: str) -> Any:
        """`key` of the next message that has it."""
        while key not in (message := await self.next()):
            pass
        return message[key]

    async def pings(self, count: int) -> None:
        """Until so many pings have come."""
        while count:
            count -= (await self.next()).get("event") == "ping"

    async def ended(self) -> bool:
        """Once the cloud has ended it; what comes before is read."""
        try:
            while True:
                await self.next()
        except (EOFError, ConnectionError):
            return True

    def close(self) -> None:
        """Ends it from this side."""
        self._writer.close()


async def connect(
    url: str, device_id: str, query: str = "", *, receive_buffer: int | None = None, headers: str = ""
) -> RawStream:
    """Asks for the device's stream; `status` says whether it is one. `headers`: more of them, each with its CRLF."""
    host, port = url.removeprefix("http://").split(":")
    plain = socket.socket()
    if receive_buffer is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=plain, limit=1 << 20 if receive_buffer is None else 1024)
    writer.write(f"GET /v1/devices/{device_id}/commands{query} HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode())
    one = RawStream(reader, writer)
    try:
        await one.begin()
    except ConnectionError:
        one.close()
        raise
    return one


@asynccontextmanager
async def connected(url: str, count: int) -> AsyncIterator[list[RawStream]]:
    """Devices D0, D1, ... each with a stream that has begun."""
    few = asyncio.Semaphore(20)  # each is made at its first time, with a connection to the database of its own

    async def begin(number: int) -> RawStream:
        async with few:
            return await connect(url, f"D{number}")

    streams = await asyncio.gather(*map(begin, range(count)))
    try:
        for one in streams:
            assert one.status == 200
            assert (await one.next())["event"] == "connected"
        yield list(streams)
    finally:
        for one in streams:
            one.close()
