"""Two workers of one cloud, and what they share: each of these parts dies while triggers come."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from emulation.wait import until
from tests.faults.arena import Arena
from tests.faults.scenario import Scenario, add

_AWAY = 3.0
"""Seconds that Redis and PostgreSQL stay away."""


async def _kill_each_worker(arena: Arena) -> None:
    """One after the other, so that the one which holds the device's stream is among them."""
    assert arena.workers is not None
    for pid in arena.workers.pids():
        os.kill(pid, signal.SIGKILL)

        async def replaced(pid: int = pid) -> bool:
            assert arena.workers is not None
            now = arena.workers.pids()
            return pid not in now and len(now) == 2

        await until("a worker that was killed is replaced", replaced, within=30)
        await arena.cloud.healthy()
        await asyncio.sleep(_AWAY)


async def _redis_dies(arena: Arena) -> None:
    assert arena.workers is not None
    await asyncio.to_thread(arena.workers.redis.kill)
    await asyncio.sleep(_AWAY)
    await asyncio.to_thread(arena.workers.redis.start)


async def _postgres_restarts(arena: Arena) -> None:
    assert arena.workers is not None
    await asyncio.to_thread(arena.workers.postgres.stop)
    await asyncio.sleep(_AWAY)
    await asyncio.to_thread(arena.workers.postgres.start)
    await arena.cloud.healthy()


async def _all_of_them(arena: Arena) -> None:
    for fault in (_kill_each_worker, _redis_dies, _postgres_restarts):
        await fault(arena)


_FAULTS: dict[str, tuple[Callable[[Arena], Awaitable[None]], str]] = {
    "workers": (_all_of_them, "each of two workers is killed, then Redis dies, then PostgreSQL restarts"),
    "workers_killed": (_kill_each_worker, "kill -9 of each of two workers, one after the other"),
    "workers_redis": (_redis_dies, "two workers lose the Redis that is their bell"),
    "workers_postgres": (_postgres_restarts, "PostgreSQL restarts under two workers"),
}
for _name, (_fault, _about) in _FAULTS.items():
    add(Scenario(_name, _fault, _about, workers=True, proxied=False, short=_name == "workers", triggers=45))
