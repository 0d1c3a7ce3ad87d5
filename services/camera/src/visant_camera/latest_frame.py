"""The newest frame: the grabber hands it over here, and requests wait here for one that is new enough."""

import asyncio
import threading
import time
from dataclasses import dataclass

from visant_camera.frame import Frame
from visant_camera.jpeg import Leftovers
from visant_camera.picture import Picture, timestamp


@dataclass(eq=False, slots=True)
class _Waiter:
    since: float
    fresh: bool
    future: asyncio.Future[Picture]
    loop: asyncio.AbstractEventLoop

    def suited_by(self, frame: Frame) -> bool:
        return moment(frame, fresh=self.fresh) >= self.since


def moment(frame: Frame, *, fresh: bool) -> float:
    """What is compared with the moment somebody asks for: where it must be `fresh`, the begin of exposure."""
    return frame.begun_after if fresh else frame.exposed_at


CHECK_TIME = 1.0
"""Seconds that a frame is kept for somebody who finds the one before damaged: decoding takes hundredths of one."""


class LatestFrame:
    """`offer` and `wanted` belong to the grabber's thread, the rest to the event loop."""

    def __init__(self, *, quality: int, idle_after: float) -> None:
        self._quality = quality
        self._leftovers = Leftovers()
        self._idle_after = idle_after
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._newest: Picture | None = None
        self._old_ones_until = 0.0
        self._one_more = False
        """The last frame went to somebody who has yet to check it: where it is bad, the very next one is taken."""
        self._spare_until = 0.0
        self.ended = False
        """Whether the service is on its way out: nobody waits any more."""

    async def picture(self, since: float, timeout: float, *, fresh: bool = False, keep: bool = False) -> Picture:
        """The first picture stamped at `since` (CLOCK_MONOTONIC, seconds) or later. TimeoutError after `timeout`.

        `fresh`: its stamp is not enough, its exposure began at `since` or later.
        `keep`: who asks takes older pictures and will ask again; from now on each frame is copied, for a while.
        """
        with self._lock:
            if keep:
                self._old_ones_until = time.monotonic() + self._idle_after
            if self._newest is not None and moment(self._newest.frame, fresh=fresh) >= since:
                return self._newest
            if self.ended:
                raise TimeoutError
            loop = asyncio.get_running_loop()
            waiter = _Waiter(since, fresh, loop.create_future(), loop)
            self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await waiter.future
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def end(self) -> None:
        """Lets everybody who waits go now, with a TimeoutError."""
        with self._lock:
            self.ended = True
            waiters, self._waiters = self._waiters, set()
        for one in waiters:
            if not one.future.done():
                one.future.set_exception(TimeoutError())

    def wanted(self) -> bool:
        """Whether the next frame is worth its copy."""
        if (
            not self._waiters
            and not self._one_more
            and self._newest is None
            and time.monotonic() >= self._old_ones_until
        ):
            return False  # without the lock: who begins to wait at this moment is seen at the next frame
        with self._lock:
            if self._waiters or self._one_more or time.monotonic() < self._old_ones_until:
                return True
            if time.monotonic() >= self._spare_until:
                self._newest = None
            return False

    def offer(self, frame: Frame) -> None:
        """Hands `frame` to all whom it suits."""
        exposed = timestamp(
            frame.exposed_at,
            monotonic=time.monotonic(),
            boottime=time.clock_gettime(time.CLOCK_BOOTTIME),
            wall=time.time(),
        )
        picture = Picture(frame, exposed, quality=self._quality, leftovers=self._leftovers)
        with self._lock:
            self._newest = picture
            suited = [one for one in self._waiters if one.suited_by(frame)]
            self._waiters.difference_update(suited)
            if self._one_more:
                self._spare_until = time.monotonic() + CHECK_TIME
            self._one_more = bool(suited)
        for one in suited:
            # a loop that has closed meanwhile has nobody waiting
            if not one.loop.is_closed():
                one.loop.call_soon_threadsafe(_resolve, one.future, picture)


def _resolve(future: asyncio.Future[Picture], picture: Picture) -> None:
    if not future.done():
        future.set_result(picture)
