"""More triggers at once than the device can take pictures, and a kill in the middle of them."""

import asyncio

from tests.faults.arena import Arena
from tests.faults.scenario import Scenario, add

_BURST = 300


async def _burst(arena: Arena) -> None:
    await arena.post(_BURST, every=0.0)


async def _burst_and_kill(arena: Arena) -> None:
    async def kill() -> None:
        await asyncio.sleep(2.0)
        await arena.device.uploader.kill()

    await asyncio.gather(arena.post(_BURST, every=0.0), kill())


_LATE = {"deadline_passed": "more triggers than pictures can be taken before their deadline"}
add(Scenario("burst", _burst, f"{_BURST} triggers at once", allowed=_LATE, proxied=False))
add(
    Scenario(
        "burst_and_kill_uploader",
        _burst_and_kill,
        f"{_BURST} triggers at once, and kill -9 of the uploader among them",
        allowed=_LATE,
        proxied=False,
        short=False,
    )
)
