"""Many commands, one camera: a few ask at once, and each has its own patience.

Requests that wait together share a frame, so a burst is quick; while the camera is away they share the wait too:
the turn comes round often enough that nobody waits behind the patience of a hundred others.
"""

import asyncio

from visant_contract.outcome import Reason
from visant_runtime.clock import Clock
from visant_runtime.lifecycle import Stop
from visant_uploader.camera_client import CameraClient, CameraTrouble, Snapshot

TURNS = 8
"""Requests at once; bounds memory to as many pictures."""
ASK_FOR = 2.0
"""Seconds that one request waits for a frame."""
PAUSE = 0.25
"""Seconds that a turn rests after trouble: at most 32 requests a second to a camera that is away."""


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

    async def take(self, deadline: float, stop: Stop) -> Snapshot:
        """A picture asked for before `deadline` (CLOCK_BOOTTIME). Raises CameraTrouble, TooLate, Stopped."""
        began = self._clock.boottime()
        give_up = min(deadline, began + self._patience)
        last: CameraTrouble | None = None
        while True:
            left = give_up - self._clock.boottime()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    await self._turns.acquire()
            except TimeoutError:
                break
            try:
                asked_at = self._clock.boottime()
                if stop.is_set():
                    raise Stopped
                if asked_at >= give_up:
                    break
                taken = await self._camera.snapshot(min(ASK_FOR, give_up - asked_at), asked_at)
            except CameraTrouble as trouble:
                last = self.trouble = trouble
                await stop.sleep(min(PAUSE, max(0.0, give_up - self._clock.boottime())))
            else:
                self.trouble = None
                return taken
            finally:
                self._turns.release()
        if stop.is_set():
            raise Stopped
        if last is not None:
            raise last
        if self.trouble is not None and give_up < deadline:
            raise self.trouble  # waited its whole patience for a turn while others learnt why
        if give_up < deadline:
            raise CameraTrouble(Reason.CAMERA_STALLED, f"no turn at the camera within {self._patience:.0f} s")
        raise TooLate
