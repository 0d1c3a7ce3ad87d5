"""Connections to the cloud, kept from one picture to the next where that is safe: a TLS handshake is 3 to 6 KB.

A kept connection may be dead without a sign: the network is another one, or a router forgot it. So a confirmed stream
retires all of them, and where one that had idled turns out dead they are kept for no longer than a backlog needs.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from visant_runtime.device.cloud_http import Client

BRIEFLY = 5.0
"""Seconds: enough for a backlog."""
LONG = 70.0
"""Seconds; our cloud allows 75, and so do most proxies. A picture a minute finds its connection."""


class StaleConnection(Exception):
    """The request failed on a connection that had idled: it says nothing of the cloud."""


@dataclass
class _Pool:
    client: Client
    used_at: float = field(default_factory=time.monotonic)
    users: int = 0
    retired: bool = False

    async def leave(self) -> None:
        """One user less; the last one of a retired pool closes it."""
        self.users -= 1
        if self.retired and self.users == 0:
            await self.client.aclose()


@dataclass
class Use:
    """One request's part in a pool."""

    client: Client
    idle: float
    """Seconds since the pool was used last."""
    connected: bool = False
    """A connection of its own was opened, or tried."""

    def note_connected(self) -> None:
        """As said above."""
        self.connected = True

    @property
    def is_stale(self) -> bool:
        """It went over a connection that had idled for longer than a backlog lets one idle."""
        return not self.connected and self.idle > BRIEFLY


class Connections:
    """`open_client(keep_alive)` makes a client."""

    def __init__(self, open_client: Callable[[float], Client]) -> None:
        self._open = open_client
        self._pools: dict[float, _Pool] = {}
        self._longest = LONG
        self._renew = False
        self._pool(LONG)  # a setting that cannot be used is found now

    @asynccontextmanager
    async def use(self, *, plain: bool) -> AsyncIterator[Use]:
        """A client for one request. A plain cloud, which may store what is sent again, gets fresh ones."""
        if self._renew:
            await self.retire()
        pool = self._pool(BRIEFLY if plain else self._longest)
        pool.users += 1
        use = Use(pool.client, time.monotonic() - pool.used_at)
        try:
            yield use
        finally:
            pool.used_at = time.monotonic()
            await pool.leave()

    def renew(self) -> None:
        """The next request opens a connection of its own."""
        self._renew = True

    async def retire(self) -> None:
        """What is open is used no more; requests under way are finished."""
        self._renew = False
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.users += 1
            pool.retired = True
            await pool.leave()

    async def shorten(self) -> None:
        """One that had idled was dead: on this way they are kept briefly from now on."""
        self._longest = BRIEFLY
        await self.retire()

    async def close(self) -> None:
        """All, requests under way included."""
        for pool in self._pools.values():
            await pool.client.aclose()

    def _pool(self, keep_alive: float) -> _Pool:
        if keep_alive not in self._pools:
            self._pools[keep_alive] = _Pool(self._open(keep_alive))
        return self._pools[keep_alive]
