"""Waiting for a condition, never for luck."""

import asyncio
from collections.abc import Awaitable, Callable


class TookTooLong(Exception):
    """The condition did not come true in time; the text names it."""


async def until(what: str, condition: Callable[[], Awaitable[bool]], *, within: float, every: float = 0.1) -> float:
    """Seconds until `condition()` was true, asked every `every` seconds. Raises TookTooLong after `within` seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        if await condition():
            return loop.time() - began
        if loop.time() - began > within:
            raise TookTooLong(f"not within {within:.0f} s: {what}")
        await asyncio.sleep(every)
