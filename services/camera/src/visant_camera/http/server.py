"""uvicorn under our own signals, on sockets bound before anything starts."""

import asyncio
import contextlib
import socket
import stat
from collections.abc import Generator, Sequence
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError

log = structlog.get_logger()
_GRACE = 2  # seconds for answers under way when the process is told to end
_CONNECTIONS = 64  # at once, on each socket; the uploader needs a handful
_REQUEST_WITHIN = 5.0  # seconds from a connection, or a request's first byte, to the end of its header
_UNREAD = 30_000  # milliseconds that what was sent may stay unread before the connection ends


class _Server(uvicorn.Server):
    """The process's lifecycle owns the signals.

    And it ticks once a second, for the Date header: uvicorn's ten ticks cost more than draining a camera does.
    """

    def __init__(self, config: uvicorn.Config, stop: Stop) -> None:
        super().__init__(config)
        self._stop = stop

    async def main_loop(self) -> None:
        """Until the process is told to end."""
        while not await self.on_tick(0):
            if await self._stop.sleep(1.0):
                return

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures none."""
        yield


class _Impatient(HttpToolsProtocol):
    """Ends a connection that begins a request and does not finish its header: uvicorn would keep its place for ever."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is due."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._done()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A kept connection begins one more request."""
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """From here on the answer has its own limits."""
        self._done()
        super().on_headers_complete()

    def _wait(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(_REQUEST_WITHIN, self.transport.close)

    def _done(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError with the remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(
            f"HTTP_PORT={port}: cannot listen on HTTP_HOST={host} ({error.strerror or error}); set another"
        ) from None
    # Each connection inherits it. asyncio would set it, but only where the socket was made with its protocol named;
    # without it head and body of an answer leave 40 ms apart (Nagle's algorithm and delayed acknowledgement).
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD)
    return listening


def bind_unix(path: Path) -> socket.socket:
    """A listening Unix socket for this user alone, in the place of one that an earlier process left. Raises
    SettingsError with the remedy."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(128)
    except OSError as error:
        listening.close()
        reason = error.strerror or error
        raise SettingsError(
            f"HTTP_SOCKET={path} cannot be made ({reason}); set a path in a folder of its own"
        ) from None
    return listening


async def serve(app: ASGIApp, listening: Sequence[socket.socket], stop: Stop) -> None:
    """Answers on each of `listening` until `stop`; raises where a server ends by itself."""
    async with asyncio.TaskGroup() as group:
        for one in listening:
            group.create_task(_serve(app, one, stop))


async def _serve(app: ASGIApp, listening: socket.socket, stop: Stop) -> None:
    config = uvicorn.Config(
        app,
        http=_Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        limit_concurrency=_CONNECTIONS,
    )
    server = _Server(config, stop)
    log.info("listening", url=_url(listening))
    running = asyncio.create_task(server.serve([listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not stop.is_set():
        await running
        raise RuntimeError("the web server ended by itself")
    server.should_exit = True
    await running


def _url(listening: socket.socket) -> str:
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"unix://{name}"
    host, port = name[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
