"""A camera without hardware: a moving picture, exact timestamps, and faults on request."""

import time
from datetime import UTC, datetime
from functools import partial

from visant_camera.drivers.base import (
    BadFrame,
    CameraAbsent,
    CameraGone,
    CameraStalled,
    Control,
    ControlRefused,
    Opened,
)
from visant_camera.drivers.fake.faults import Faults
from visant_camera.drivers.fake.scene import Scene
from visant_camera.frame import Frame

_READOUT = 0.015  # seconds from the begin of exposure until the frame is there, as with a webcam
_SLOW = 1.0  # seconds between frames under the fault `slow`


class FakeDriver:
    """`fps` frames a second by the monotonic clock. A frame is drawn when it is served, not before.

    The JPEG comment says `seq=<sequence>;t=<exposure, CLOCK_MONOTONIC ns>;wall=<RFC 3339>`.
    """

    def __init__(self, size: tuple[int, int], fps: float, faults: Faults) -> None:
        self._scene = Scene(*size)
        self._fps = fps
        self._interval = 1 / fps
        self.faults = faults
        self._begin = time.monotonic()
        self._next = 0
        self._last: Frame | None = None
        self._controls = {
            one.name: one
            for one in (
                Control("brightness", "integer", -64, 64, 1, 0, 0),
                Control("auto_exposure", "menu", 0, 3, 1, 3, 3, menu={1: "Manual Mode", 3: "Aperture Priority Mode"}),
                Control("exposure_time_absolute", "integer", 1, 5000, 1, 157, 157),
                Control("focus_automatic_continuous", "boolean", 0, 1, 1, 1, 1),
            )
        }

    def open(self) -> Opened:
        """Always works, but for the fault `absent`."""
        if self.faults.kind == "absent":
            raise CameraAbsent("the fake camera is unplugged (fault `absent`)")
        self._next = 0
        return Opened("fake", "Fake camera", "mjpeg", self._scene.width, self._scene.height, self._fps)

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        """Waits for the next frame of the clock; those that nobody fetched in time are lost, as in a webcam."""
        fault = self.faults.kind
        if fault == "absent":
            raise CameraGone("the fake camera was unplugged (fault `absent`)")
        if fault == "stalled":
            time.sleep(timeout)
            raise CameraStalled("no frame comes (fault `stalled`)")
        if fault == "slow":
            time.sleep(_SLOW)
        sequence = self._tick()
        if fault == "bad_frames":
            raise BadFrame(f"frame {sequence} is truncated (fault `bad_frames`)")
        if fault == "frozen" and self._last is not None:
            return self._last
        if not want and fault != "frozen":
            return None
        exposed = self._begin + sequence * self._interval
        self._last = Frame(
            data=partial(self._draw, sequence, exposed),
            encoding="mjpeg",
            width=self._scene.width,
            height=self._scene.height,
            sequence=sequence,
            exposed_at=exposed,
        )
        return self._last if want else None

    def close(self) -> None:
        """Nothing is held."""

    def controls(self) -> list[Control]:
        """A few, without effect on the picture."""
        return list(self._controls.values())

    def set_control(self, name: str, value: int) -> None:
        """Remembers the value."""
        one = self._controls[name]
        if one.inactive:
            raise ControlRefused(f"{name} is inactive")
        self._controls[name] = Control(
            one.name, one.kind, one.minimum, one.maximum, one.step, one.default, value, one.inactive, one.menu
        )

    def _tick(self) -> int:
        """Sleeps until a frame is complete that was not handed out yet; returns its number."""
        complete = int((time.monotonic() - _READOUT - self._begin) / self._interval)
        self._next = max(self._next + 1, complete)
        time.sleep(max(0.0, self._begin + self._next * self._interval + _READOUT - time.monotonic()))
        return self._next

    def _draw(self, sequence: int, exposed: float) -> bytes:
        wall = datetime.fromtimestamp(time.time() - (time.monotonic() - exposed), UTC)
        comment = f"seq={sequence};t={round(exposed * 1e9)};wall={wall.isoformat(timespec='milliseconds')}"
        return self._scene.draw(sequence, exposed - self._begin, wall, comment.encode())
