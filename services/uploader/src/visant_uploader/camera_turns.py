"""Many commands, one camera: a few ask at once, and each has its own patience.

Requests that wait together share a frame, so a burst is quick; while the camera is away they share the wait too:
the turn comes round often enough that nobody waits behind the patience of a hundred others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from visant_contract.outcome import Reason
from visant_runtime.clock import Clock
from visant_runtime.lifecycle import Stop
from visant_uploader.camera_client import CameraClient, CameraTrouble, Snapshot

TURNS = 4
"""Requests at once. A turn lasts until its picture is on the disk: no more pictures than this are in memory."""
ASK_FOR = 2.0
"""Seconds that one request waits for a frame."""
PAUSE = 0.25
"""Seconds that a turn rests after trouble: at most 16 requests a second to a camera that is away."""


class TooLate(Exception):
    """The deadline passed before the camera was asked."""


class Stopped(Exception):
    """The process ends; nothing has been decided."""


class CameraTurns:
    """`patience`: seconds from being taken up until the last reason is final."""

    def __init__(self, camera: CameraClient, clock: Clock, patience: float) -> None:
        self._camera = camera
        self._clock = clock
        self._patience = patience
        self._turns = asyncio.Semaphore(TURNS)
        self.trouble: CameraTrouble | None = None
        """What the camera said last; None where it gave a picture."""

    @asynccontextmanager
    async def take(self, deadline: float, stop: Stop) -> AsyncIterator[Snapshot]:
        """A picture asked for before `deadline` (CLOCK_BOOTTIME). Raises CameraTrouble, TooLate, Stopped."""
        give_up = min(deadline, self._clock.boottime() + self._patience)
        last: CameraTrouble | None = None
        while await self._turn(give_up):
            try:
                if stop.is_set():
                    raise Stopped
                taken = await self._ask(give_up)
                if isinstance(taken, Snapshot):
                    self.trouble = None
                    yield taken
                    return
                last = self.trouble = taken
                await stop.sleep(min(PAUSE, max(0.0, give_up - self._clock.boottime())))
            finally:
                self._turns.release()
        if stop.is_set():
            raise Stopped
        raise last or self._unasked(give_up < deadline)

    async def _turn(self, give_up: float) -> bool:
        """False: the time is up."""
        left = give_up - self._clock.boottime()
        if left <= 0:
            return False
        try:
            async with asyncio.timeout(left):
                await self._turns.acquire()
        except TimeoutError:
            return False
        return True

    async def _ask(self, give_up: float) -> Snapshot | CameraTrouble:
        asked_at = self._clock.boottime()
        try:
            return await self._camera.snapshot(min(ASK_FOR, max(0.001, give_up - asked_at)), asked_at)
        except CameraTrouble as trouble:
            return trouble

    def _unasked(self, patience_was_over: bool) -> CameraTrouble | TooLate:
        """No turn came in time."""
        if not patience_was_over:
            return TooLate()
        # others learnt meanwhile why the camera gives nothing
        return self.trouble or CameraTrouble(
            Reason.CAMERA_STALLED, f"no turn at the camera within {self._patience:.0f} s"
        )
