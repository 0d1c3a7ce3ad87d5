"""A request over a plain socket whose body comes as the test wants it, or never."""

import asyncio
import json
from typing import Any


class HalfRequest:
    """Its head and the first bytes of its body are sent; `answer` waits for the answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.headers: dict[str, str] = {}
        self.body = b""

    def send(self, data: bytes) -> None:
        """More of it."""
        self._writer.write(data)

    async def answer(self, timeout: float = 60.0) -> int:
        """The status, once the whole answer is here; its header and body are kept. 0: closed without one."""
        async with asyncio.timeout(timeout):
            try:
                words = (await self._reader.readline()).split()
            except ConnectionError:
                return 0
            if not words:
                return 0
            while line := (await self._reader.readline()).strip():
                name, _, value = line.decode().partition(": ")
                self.headers[name.lower()] = value
            self.body = await self._reader.readexactly(int(self.headers.get("content-length", 0)))
        return int(words[1])

    @property
    def problem(self) -> Any:
        """The answer's problem details."""
        assert self.headers["content-type"] == "application/problem+json", self.headers
        return json.loads(self.body)

    async def closed(self, timeout: float = 60.0) -> bool:
        """Once the other end has closed it."""
        async with asyncio.timeout(timeout):
            try:
                while await self._reader.read(1 << 16):
                    pass
            except ConnectionError:
                pass
        return True

    def close(self) -> None:
        """Ends it from this side."""
        self._writer.close()


async def begin(
    url: str, method: str, path: str, headers: dict[str, str], first: bytes = b"{", *, length: int | None = None
) -> HalfRequest:
    """Sends the head and `first`. `length`: what Content-Length declares; None: the body is chunked, without an end."""
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    framing = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *(f"{k}: {v}" for k, v in {**headers, **framing}.items())]
    one = HalfRequest(reader, writer)
    one.send("\r\n".join([*lines, "", ""]).encode())
    one.send(first if length is not None else chunk(first))
    return one


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
