"""Many commands, one camera: a few ask at once, each for as long as CAPTURE_PATIENCE.

Requests that wait together share a frame, so a burst is quick; while the camera is away they share what it says too:
whoever has no slot before its patience ends is told that, and nobody waits behind the patience of a hundred others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from visant_contract.outcome import Reason
from visant_runtime.clock import Clock
from visant_runtime.lifecycle import Stop, Stopped
from visant_uploader.capture.camera_client import CameraClient, CameraTrouble, Snapshot

SLOTS = 4
"""Requests at once. A slot is held until its picture is on the disk: no more pictures than this are in memory."""
ASK_FIRST, ASK_MOST = 2.0, 30.0
"""Seconds that one request waits for a frame, first and at most (the camera service allows no more). It doubles: each
request begins anew, and a slow camera or a large CAMERA_FRESHNESS_MARGIN needs longer than the first."""
LOOK_EVERY = 1.0
PAUSE = 0.25
"""Seconds that a slot rests after trouble: at most 16 requests a second to a camera that is away."""


class TooLate(Exception):
    """The deadline passed before the camera was asked."""


class CameraSlots:
    """`patience`: seconds from being asked for until the last reason is final."""

    def __init__(self, camera: CameraClient, clock: Clock, patience: float) -> None:
        self._camera = camera
        self._clock = clock
        self._patience = patience
        self._slots = asyncio.Semaphore(SLOTS)
        self._wait = ASK_FIRST  # shared: what one command learnt of the camera, the next need not learn again
        self.trouble: CameraTrouble | None = None
        """What the camera said last; None where it gave a picture."""

    @asynccontextmanager
    async def snapshot(self, deadline: float, stop: Stop) -> AsyncIterator[Snapshot]:
        """A picture asked for before `deadline` (CLOCK_BOOTTIME). Raises CameraTrouble, TooLate, Stopped."""
        patience_ends = self._clock.boottime() + self._patience
        last: CameraTrouble | None = None
        first_asked_at: float | None = None
        while await self._has_slot(deadline, patience_ends, last is not None, stop):
            try:
                asked_at, wait = self._clock.boottime(), self._wait
                first_asked_at = asked_at if first_asked_at is None else first_asked_at
                if last is None:  # a slot that came late, because many asked before, is no fault of the camera
                    patience_ends = max(patience_ends, asked_at + min(self._patience, wait))
                left = max(0.001, min(deadline, patience_ends) - asked_at)
                answer = await self._ask(min(wait, left), asked_at, stop)
                least = ASK_FIRST if isinstance(answer, Snapshot) else self._wait
                self._wait = min(ASK_MOST, max(least, 2 * (self._clock.boottime() - asked_at)))
                if isinstance(answer, Snapshot):
                    self.trouble = None
                    yield replace(answer, first_asked_at=first_asked_at)
                    return
                # no frame within the moment that was left is no finding: what was said before is truer
                if last is None or left >= ASK_FIRST or answer.reason is not Reason.CAMERA_STALLED:
                    last = self.trouble = answer
                await stop.sleep(PAUSE)
            finally:
                self._slots.release()
        if stop.is_set():
            raise Stopped
        # one that had no slot shares what the others learnt meanwhile
        trouble = last or self.trouble
        if trouble is None:
            raise TooLate
        raise CameraTrouble(trouble.reason, trouble.detail, first_asked_at)

    async def _has_slot(self, deadline: float, patience_ends: float, tried: bool, stop: Stop) -> bool:
        """False: no more. Patience only counts while the camera gives nothing; the deadline always does."""

        def left() -> float:
            troubled = tried or self.trouble is not None
            return (min(deadline, patience_ends) if troubled else deadline) - self._clock.boottime()

        acquiring = asyncio.ensure_future(self._slots.acquire())
        mine = False
        try:
            while not acquiring.done() and left() > 0 and not stop.is_set():
                await asyncio.wait({acquiring}, timeout=min(left(), LOOK_EVERY))
            mine = acquiring.done() and left() > 0 and not stop.is_set()
            return mine
        finally:
            if not mine and not acquiring.cancel():
                self._slots.release()

    async def _ask(self, wait: float, asked_at: float, stop: Stop) -> Snapshot | CameraTrouble:
        """`wait` in seconds; at the end of the process at most ASK_FIRST more. Raises Stopped."""
        asking = asyncio.ensure_future(self._camera.snapshot(wait, asked_at))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({asking}, timeout=ASK_FIRST)
            if not asking.done():
                raise Stopped
            return asking.result()
        except CameraTrouble as trouble:
            return trouble
        finally:
            stopping.cancel()
            asking.cancel()
