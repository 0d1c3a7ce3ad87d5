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
    """The process's lifecycle owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures none."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError with the remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(
            f"HTTP_PORT={port}: cannot listen on HTTP_HOST={host} ({error.strerror or error}); set another"
        ) from None


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
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        limit_concurrency=_CONNECTIONS,
    )
    server = _Server(config)
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
