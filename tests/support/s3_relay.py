"""A relay before a real S3 server that lets everything through, or shows one of the ways in which a server fails."""

import asyncio
import contextlib
import socket
from typing import Literal, Self

Mode = Literal["pass", "refuse", "hang", "500", "503", "403", "cut", "late"]


class S3Relay:
    """Use it as an async context manager. `mode` counts for each new request.

    refuse: nothing listens. hang: a request is read and never answered. 500, 503, 403: it is answered so. cut: the
    first 100,000 bytes of an answer come. late: the server has the request, and its answer never comes.
    """

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._mode: Mode = "pass"
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self.endpoint = f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def set(self, mode: Mode) -> None:
        """From now on; connections of before end."""
        self._mode = mode
        await self._close()
        if mode != "refuse":
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self._port)

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = None
        try:
            while request := await _message(reader):
                self.requests += 1
                if self._mode == "hang":
                    await asyncio.Event().wait()
                if self._mode in ("500", "503", "403"):
                    body = b"<Error><Code>Broken</Code></Error>"
                    head = f"HTTP/1.1 {self._mode} Broken\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                    writer.write(head.encode() + body)
                    await writer.drain()
                    return
                server = server or await asyncio.open_connection(*self._target)
                server[1].write(request)
                await server[1].drain()
                answer = await _message(server[0], answers=request.partition(b" ")[0])
                if self._mode == "late":
                    await asyncio.Event().wait()
                if self._mode == "cut":
                    writer.write(answer[:100_000])
                    await writer.drain()
                    return
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            for open_one in (writer, server[1] if server else None):
                if open_one is not None:
                    open_one.close()
                    with contextlib.suppress(ConnectionError):
                        await open_one.wait_closed()


async def _message(reader: asyncio.StreamReader, answers: bytes = b"") -> bytes:
    """One whole request or answer; empty at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if answers == b"HEAD" or (answers and head.split(b" ", 2)[1] == b"204"):
        return head
    if fields.get(b"transfer-encoding", b"").strip() == b"chunked":
        body = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            body += size + await reader.readexactly(int(size, 16) + 2)
            if int(size, 16) == 0:
                return head + body
    return head + await reader.readexactly(int(fields.get(b"content-length", b"0")))
