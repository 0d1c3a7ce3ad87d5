"""A frame whose exposure began after it was asked for, as a JPEG; or the reason why there is none."""

import asyncio
import math
import time

from visant_camera.drivers.base import BadFrame
from visant_camera.health import Health
from visant_camera.latest_frame import LatestFrame, moment
from visant_camera.picture import Picture
from visant_contract.outcome import Reason


class NoFrameInTime(Exception):
    """No frame came in time; reason of SNAPSHOT_REASONS and one line."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Snapshots:
    """Takes pictures for whoever asks."""

    def __init__(self, latest: LatestFrame, health: Health) -> None:
        self._latest = latest
        self._health = health

    async def take(self, *, max_age: float | None, timeout: float) -> tuple[Picture, bytes]:
        """A picture and its JPEG. Raises NoFrameInTime.

        `max_age` None: its exposure began after this call. Else: one stamped at most so many seconds ago is good
        enough. A picture that turns out damaged is passed over for the next one.
        """
        began = time.monotonic()
        fresh = max_age is None
        after_bad = float("-inf")
        while True:
            # the margin is read anew: the camera may be another one since it was lost
            wanted = began + self._health.margin if max_age is None else began - max_age
            try:
                picture = await self._latest.picture(
                    max(wanted, after_bad), began + timeout - time.monotonic(), fresh=fresh, keep=not fresh
                )
                if fresh and picture.frame.begun_after < began + self._health.margin:
                    continue
                return picture, picture.jpeg() if picture.ready else await asyncio.to_thread(picture.jpeg)
            except BadFrame as error:
                self._health.bad_frame(error)
                after_bad = math.nextafter(moment(picture.frame, fresh=fresh), math.inf)
            except TimeoutError:
                if self._latest.ended:
                    raise NoFrameInTime(Reason.CAMERA_STARTING, "the camera service is being stopped") from None
                age = "after the request" if max_age is None else f"at most {max_age:.3f} s before it"
                reason, detail = self._health.why_no_frame(began, f"no frame {age} within {timeout:.3f} s")
                raise NoFrameInTime(reason, detail) from None
