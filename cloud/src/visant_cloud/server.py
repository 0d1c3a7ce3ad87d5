"""The web server: where it listens, how many files it may hold, and how it ends.

uvicorn is told to end: it lets nobody in any more, the streams are closed one after the other, all else finishes.
"""

import asyncio
import logging
import resource
import socket
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI

from visant_cloud.access.forwarded import Forwarded, trusted
from visant_cloud.connections import EVERYWHERE, RESERVE, Connection, Connections
from visant_cloud.context import Cloud
from visant_cloud.settings import CloudSettings
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError

log = structlog.get_logger()

_BACKLOG = 2048
"""Connections that the kernel holds while the process is busy: a whole fleet returns at once after a restart."""
_FINISH = 5
"""Seconds that uploads in progress have after the signal."""
_DECODE_WITHIN = 4.0
"""Seconds after which pictures that are still being decoded are sent back to their devices, with an answer."""
_CLOSE_WITHIN = 3.0
_CLOSE_RATE = 100.0
"""Streams closed a second after the signal, or as many more as it takes to be through within _CLOSE_WITHIN seconds:
the devices come back at once, and not all at one instant."""
_SWEEP = 1.0


def listen(settings: CloudSettings) -> socket.socket:
    """The listening socket. Raises SettingsError where the address cannot be had."""
    host, port = settings.http_host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # accepted connections inherit it: a stream whose device vanished ends when two pings stay unacknowledged
    # (man 7 tcp), not after the kernel's quarter of an hour
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(2 * settings.ping_every * 1000))
    # so that head and body of an answer do not leave 40 ms apart; asyncio sets it only where the protocol is named
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)  # before the log says so: who reads "ready" connects
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"HTTP_HOST={host} PORT={port}: cannot listen there ({error.strerror}); set another"
        ) from None
    return listener


def url(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def raise_file_limit() -> None:
    """As far as this process may: each stream is a file, and the usual limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connections_limit() -> int:
    """How many connections this process may hold."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most - RESERVE


class Server(uvicorn.Server):
    """Leaves the signals to the lifecycle of this process."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing: `serve` below says when to end."""
        yield


async def serve(app: FastAPI, cloud: Cloud, listener: socket.socket, stop: Stop) -> None:
    """Serves until `stop`, then closes the streams and lets requests in progress finish."""
    connections = Connections(connections_limit())
    config = uvicorn.Config(
        Forwarded(app, trusted(cloud.settings.forwarded_allow_ips)),
        http=partial(Connection, connections),  # type: ignore[arg-type] # what is called to make one
        interface="asgi3",
        ws="none",  # nobody speaks WebSocket here, and its connections would be beyond the limits of ours
        log_config=None,
        access_log=False,
        server_header=False,
        headers=EVERYWHERE,
        lifespan="off",
        timeout_graceful_shutdown=_FINISH,
        timeout_keep_alive=75,
        proxy_headers=False,  # uvicorn's own believes the first address of the list where `*` is trusted
    )
    server = Server(config)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # a line for each stranger that speaks no HTTP

    async def end() -> None:
        await stop.wait()
        server.should_exit = True  # from now on nobody is let in
        last = asyncio.get_running_loop().time() + _DECODE_WITHIN
        cloud.hub.refuse()
        cloud.events.close()
        await cloud.hub.close_within(_CLOSE_WITHIN, _CLOSE_RATE)
        await asyncio.sleep(last - asyncio.get_running_loop().time())
        cloud.decoders.close()

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            connections.sweep()

    async with asyncio.TaskGroup() as tasks:
        endless = (end(), sweep(), cloud.loader.run(), cloud.pings.run(), cloud.events.run())
        helpers = [tasks.create_task(work) for work in endless]
        await server.serve(sockets=[listener])
        for helper in helpers:
            helper.cancel()
