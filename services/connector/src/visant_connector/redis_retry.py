"""Waiting for Redis: what it refuses is held and offered again, for as long as it takes. Nothing is dropped."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import structlog

from visant_connector.admission import RedisRefused
from visant_runtime.backoff import full_jitter
from visant_runtime.clock import Clock
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()

_BASE = 0.2
_CAP = 5.0
"""Seconds at most between two offers."""

T = TypeVar("T")


class RedisRetry:
    """One per process; says `degraded redis: ...` while it waits, and beats."""

    def __init__(self, stop: Stop, heart: Heartbeat, loop: str, clock: Clock, rng: Random) -> None:
        self._stop = stop
        self._heart = heart
        self._loop = loop
        self._clock = clock
        self._rng = rng
        self._repeats = LogThrottle()

    async def until_accepted(
        self, offer: Callable[[], Awaitable[T]], *, waited: Callable[[float], None] = lambda seconds: None
    ) -> T | None:
        """What `offer` returns once Redis accepts it. None: the process is stopping and Redis still refuses.

        `waited(seconds)` hears after each refusal how long it has been refused.
        """
        began = self._clock.boottime()
        attempt = 0
        while True:
            try:
                result = await offer()
            except RedisRefused as refusal:
                self.refused(refusal)
            else:
                self.accepted(self._clock.boottime() - began)
                return result
            self._heart.beat(self._loop)
            waited(self._clock.boottime() - began)
            if await self._stop.sleep(full_jitter(attempt, base=_BASE, cap=_CAP, rng=self._rng)):
                return None
            attempt += 1

    def refused(self, refusal: RedisRefused) -> None:
        """Redis did not accept something."""
        self._heart.degraded("redis", str(refusal))
        times = self._repeats.again(str(refusal))
        if times is not None:
            log.warning(f"degraded redis: {refusal}", times=times)

    def accepted(self, seconds: float = 0.0) -> None:
        """Redis accepted something, after `seconds`."""
        self._heart.degraded("redis", None)
        if self._repeats.over():
            log.info("redis takes writes again", held_seconds=round(seconds, 1))
