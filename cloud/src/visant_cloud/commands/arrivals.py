"""How many streams may begin in a second, so that a fleet that returns at once leaves the process its breath.

Who comes while there is room goes in, the next wait a moment, and whoever finds that too long is told when to come
back: each another time, spread over what those before it will take.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable

from visant_cloud import problems
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.problems import Refusal

PER_SECOND = 500.0
"""A connection costs 1 to 1.5 ms of a core, so this leaves a third of it to the streams that are open already; and
10,000 devices are back after 20 s."""
_AT_ONCE = 100
"""As many need not wait."""
_WAIT = 8.0
"""Seconds that one waits at most: less than clients give a server until it speaks (10 s is usual). One that is sent
away and comes again costs more than one that is held."""
_TOGETHER = 0.05
"""Who waits goes in together with the others of so many seconds: the database is then asked once for all of them."""


class Turnstile:
    """Lets in `per_second`. Pure but for the clock and the dice."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._each = 1 / per_second
        self._clock = clock
        self._next = 0.0
        self._promised = 0.0

    def arrive(self) -> float:
        """Seconds until this one may go in. Raises Refusal (503, with Retry-After) where that is too long."""
        now = self._clock()
        at = max(self._next, now - _AT_ONCE * self._each)
        if at - now > _WAIT:
            self._promised = max(self._promised, at) + self._each
            raise problems.too_many(self._promised - now + random.uniform(0.0, 2.0))
        self._next = at + self._each
        return 0.0 if at <= now else math.ceil(at / _TOGETHER) * _TOGETHER - now

    def give_back(self) -> None:
        """One that went in takes no place after all."""
        self._next -= self._each


class Arrivals:
    """One per process.

    Who it is, is asked after the wait, so that a fleet that is told to come later costs no read. At an address from
    which strangers came it is asked before: they take no place, and whoever is known there waits as everybody does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._all = Turnstile(PER_SECOND, clock)
        self._unknown = RateLimits(1.0, 20.0, clock)
        self._often = RateLimits(1.0, 60.0, clock)

    def strangers_at(self, address: str) -> bool:
        """Whether many came from this address that the cloud does not know."""
        return self._unknown.wait(address) is not None

    async def wait(self) -> None:
        """Until a stream may begin. Raises Refusal."""
        pause = self._all.arrive()
        if pause > 0:
            await asyncio.sleep(pause)

    def unknown(self, address: str, *, waited: bool) -> None:
        """Somebody came from this address whom the cloud does not know; the place it `waited` for is free again."""
        self._unknown.acquire(address)
        if waited:
            self._all.give_back()

    def again(self, device_key: str) -> None:
        """This device opens a stream. Raises Refusal (429) where it does little else.

        Ours tries a few times in the first ten seconds, then ever more rarely (the connector's reconnect.py).
        """
        wait = self._often.acquire(device_key)
        if wait is not None:
            raise Refusal(429, f"This device connects too often: come again in {wait} s", "rate", retry_after=wait)
