"""Calls that may block, as those to a disk: in a thread, and with a time by which they must be done."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from visant_runtime.heartbeat import Heartbeat

DISK_WITHIN = 60.0
"""Seconds. A worn card holds a flush up for many; what takes longer than this never comes back."""

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(heartbeat: Heartbeat, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns. Where it has not after DISK_WITHIN, `name` stands still: see watchdog.py."""
    with heartbeat.work(name, DISK_WITHIN):
        return await asyncio.to_thread(function, *args, **kwargs)
