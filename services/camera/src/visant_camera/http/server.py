"""uvicorn under our own signals, on a socket bound before anything starts."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import structlog
import uvicorn
from starlette.types import ASGIApp

from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError

log = structlog.get_logger()
_GRACE = 2  # seconds for answers under way when the process is told to end
_CONNECTIONS = 64  # at once; the uploader needs a handful


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
    return listening


async def serve(app: ASGIApp, listening: socket.socket, stop: Stop) -> None:
    """Answers on `listening` until `stop`; raises where the server ends by itself."""
    config = uvicorn.Config(
        app,
        http="httptools",
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
    host, port = listening.getsockname()[:2]
    log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}")
    running = asyncio.create_task(server.serve([listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not stop.is_set():
        await running
        raise RuntimeError("the web server ended by itself")
    server.should_exit = True
    await running
