"""PingClock: keeps every open stream alive, by one task for all of them.

A wheel of short ticks: each stream stands at the tick of its next ping. A tick builds what its pings share once.
Nothing here asks the database, so streams stay while it is away.
"""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime

from visant_cloud.commands.subscription import Subscription
from visant_contract.sse import Ping

TICK = 0.1
"""Seconds; a ping comes at most so much early."""
_AT_ONCE = 200
"""Pings after which others get their turn."""


class PingClock:
    """One per process."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._wheel: dict[int, list[Subscription]] = {}

    def add(self, stream: Subscription) -> None:
        """Pings this stream every `ping_every` seconds from now on, until it is closed."""
        self._put(stream, math.floor((time.monotonic() + stream.ping_every) / TICK))

    def _put(self, stream: Subscription, tick: int) -> None:
        self._wheel.setdefault(tick, []).append(stream)

    async def run(self) -> None:
        """For ever."""
        done = math.floor(time.monotonic() / TICK)
        while True:
            await asyncio.sleep(max(0.0, (done + 1) * TICK - time.monotonic()))
            now = math.floor(time.monotonic() / TICK)
            for tick in range(done + 1, now + 1):  # several where the loop was held up
                if tick in self._wheel:
                    await self._ping(self._wheel.pop(tick), now)
            done = max(done, now)

    async def _ping(self, streams: list[Subscription], tick: int) -> None:
        begin = shared(self._now())
        for count, stream in enumerate(streams, 1):
            if stream.closed:
                continue
            if not stream.stalled():  # it would wait for the peer, and all others with it
                await stream.send({"type": "http.response.body", "body": ping(begin, stream), "more_body": True})
            self._put(stream, tick + max(1, math.floor(stream.ping_every / TICK)))
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
                begin = shared(self._now())


def shared(now: datetime) -> bytes:
    """What all pings of one moment begin with."""
    return b"data: " + Ping(server_time=now).model_dump_json(exclude_none=True).encode().removesuffix(b"}")


def ping(begin: bytes, stream: Subscription) -> bytes:
    """The SSE event: `last_id` is that of the last command that was sent, `sent` how many were."""
    if stream.last_id is None:
        return b'%b,"sent":%d}\n\n' % (begin, stream.commands)
    return b'%b,"last_id":"%d","sent":%d}\n\n' % (begin, stream.last_id, stream.commands)
