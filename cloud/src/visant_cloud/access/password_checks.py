"""Passwords are checked one at a time, and who may have one checked: each costs 50 ms of a core and 64 MiB.

In this process's memory: of several processes each counts for itself.
"""

import asyncio
import os
import random
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from visant_cloud.access import credentials
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.problems import Refusal

_WAITING = 16
"""Checks that are under way or wait: whoever waits does so for a second at most."""
_OF_ONE = 4
"""Of them from one address."""
_RETRY = 1, 3
_PROVEN = 1000


def _step_back() -> None:
    """On Linux each thread has a priority of its own: what strangers ask for leaves the cores to devices."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)


class PasswordChecks:
    """One per process. Nothing here depends on whether there is an operator of that name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._here = RateLimits(1 / 30, 10, clock)
        """For a name from one address: who guesses there locks out nobody elsewhere."""
        self._anywhere = RateLimits(1 / 30, 200, clock)
        """For a name from all addresses together, slow: for who guesses from many."""
        self._address = RateLimits(1 / 2, 30, clock)
        """For an address, whatever the names."""
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()
        """(name, address) of those who knew the password: what others try elsewhere is not counted against them."""
        self._waiting: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1, "password", initializer=_step_back)

    async def check(self, name: str, address: str, kept: Callable[[], Awaitable[str | None]], password: str) -> bool:
        """Whether it is the password of which `kept` gives the hash. Raises Refusal: 429 too often, 503 too many."""
        name = name.casefold()
        if self._waiting.total() >= _WAITING or self._waiting[address] >= _OF_ONE:
            detail = "Many sign in at this moment: try again when Retry-After has passed"
            raise Refusal(503, detail, "busy", retry_after=random.randint(*_RETRY))
        self._count(name, address)
        self._waiting[address] += 1
        try:
            found, loop = await kept(), asyncio.get_running_loop()
            right = await loop.run_in_executor(self._thread, credentials.verify_password, found, password)
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
        if right:
            self._here.reset(_pair(name, address))
            self._proven[name, address] = None
            if len(self._proven) > _PROVEN:
                self._proven.popitem(last=False)
        return right

    async def hash(self, password: str) -> str:
        """Of a new password, for whoever has shown that he may have one."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, credentials.hash_password, password)

    def _count(self, name: str, address: str) -> None:
        limits = [(self._here, _pair(name, address)), (self._address, address)]
        if (name, address) not in self._proven:
            limits.append((self._anywhere, name))
        wait = max((wait for limit, key in limits if (wait := limit.wait(key)) is not None), default=None)
        if wait is not None:
            raise Refusal(429, f"Too many attempts: try again in {wait} s", "rate", retry_after=wait)
        for limit, key in limits:
            limit.acquire(key)


def _pair(name: str, address: str) -> str:
    return f"{address} {name}"
