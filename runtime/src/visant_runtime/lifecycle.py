"""A process that starts, stops when told, and dies when a part of it dies."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import structlog

from visant_runtime.watchdog import end_within

log = structlog.get_logger()

_RESOLVER = "timeout:2 attempts:1"
"""resolv.conf(5) options. A thread that asks a dead name server cannot be cancelled and holds up the end of the
process: with glibc's own 5 s and two rounds for 20 s (two servers), with these for 4 s. Callers retry anyway."""
_LAST = 3.0
"""Seconds for threads, once all tasks have ended."""


class Stopped(Exception):
    """Raised by work that `Stop` cut short: the process ends, and nothing has been decided."""


class Stop:
    """Set once, by SIGTERM or SIGINT; every wait of the process ends with it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Begin the end."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether the end has begun."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Until the end begins."""
        await self._event.wait()

    async def sleep(self, seconds: float) -> bool:
        """Sleeps, at most until the end begins; True: it has begun."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return self.is_set()
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        return self.is_set()


def run(
    main: Callable[[Stop], Awaitable[None]],
    *,
    grace: float = 8.0,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Runs `main(stop)` to its end and returns the exit status. `loop_factory`: another event loop than asyncio's.

    0: main returned. 1: main raised; the reason is logged (a restart policy brings the process back).
    After the signal, main has `grace` seconds, then it is cancelled.
    """
    os.environ.setdefault("RES_OPTIONS", _RESOLVER)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        status = runner.run(_run(main, grace))
        # asyncio waits without an end for threads that cannot be cancelled, as one that writes to a disk that hangs
        last = end_within(_LAST, status)
    last.cancel()
    return status


async def _run(main: Callable[[Stop], Awaitable[None]], grace: float) -> int:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(main(stop))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        await asyncio.wait({work}, timeout=grace)
        if not work.done():
            log.warning("did not finish in time, cancelled", grace_seconds=grace)
            work.cancel()
            await asyncio.wait({work}, timeout=1.0)
    stopping.cancel()
    if not work.done() or work.cancelled():
        return 1
    error = work.exception()
    if error is None:
        return 0
    for one in _leaves(error):
        log.critical("ended by an error", error=f"{type(one).__name__}: {one}", exc_info=one)
    return 1


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
