"""The protocol of a camera driver. One thread opens, drains and closes; a second one asks for controls meanwhile.

Each call of the first ends within its timeout or a few seconds; the second may hang with the camera, and no picture
with it. A driver copies nothing that nobody asked for, knows nothing of waiting requests, and does not retry: the
grabber closes it after the first CameraError that ends the stream, and opens it again later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from visant_camera.frame import Encoding, Frame
from visant_contract.outcome import Reason


class CameraError(Exception):
    """No frame, for a reason of SNAPSHOT_REASONS; `detail` is one line for a person, without credentials."""

    reason: Reason = Reason.CAMERA_ABSENT

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class CameraAbsent(CameraError):
    """Nothing to open: unplugged, unreachable, no such file, in use, no permission."""


class CameraGone(CameraError):
    """It was open and went away."""


class CameraStalled(CameraError):
    """It is there, but no frame came within the timeout."""

    reason = Reason.CAMERA_STALLED


class BadFrame(CameraError):
    """A frame came that must not be served (truncated, flagged by the kernel). The stream goes on."""

    reason = Reason.BAD_FRAMES


class RepeatedFrame(CameraError):
    """The picture of before came again, byte for byte: nothing new to serve. The stream goes on."""

    reason = Reason.CAMERA_STALLED


class ControlRefused(Exception):
    """The device did not take this value now; the text says why."""


@dataclass(frozen=True)
class Opened:
    """What was really negotiated, read back from the device."""

    source: str
    """What is open, without credentials: `/dev/video0`, `rtsp://host/path`, a file."""
    name: str
    """What the device calls itself."""
    encoding: Encoding
    width: int
    height: int
    fps: float
    """Frames a second by the device's word; 0: unknown."""
    refusals: tuple[str, ...] = ()
    """One line for each wish that was not granted: `size 1920x1080: got 1280x720`."""
    timestamp_late: float = 0.0
    """Seconds by which a stamp may be later than what it stands for."""
    first_frame: float = 10.0
    """Seconds that the first frame may take: some webcams need three, and a network stream waits for a key frame."""


@dataclass(frozen=True)
class Control:
    """One adjustable property. Names are the driver's, as v4l2-ctl prints them: `exposure_time_absolute`."""

    name: str
    kind: Literal["integer", "boolean", "menu"]
    minimum: int
    maximum: int
    step: int
    default: int
    value: int
    inactive: bool = False
    """Without effect for now, e.g. the exposure time while exposure is automatic."""
    menu: dict[int, str] = field(default_factory=dict)
    """For a menu: the values that exist and their names."""


class Driver(Protocol):
    """A source of frames."""

    def open(self) -> Opened:
        """Opens and starts the stream. Raises CameraAbsent or CameraStalled, with nothing left open."""

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        """Takes one frame out of the device, the oldest it holds.

        `want` False: it is only drained (no copy, no decoding) and None is returned. `timeout`: seconds; then
        CameraStalled, after which it may be called again. Raises CameraGone where the device went away, BadFrame for a
        frame not to be served, RepeatedFrame for one that shows nothing new.
        """

    def close(self) -> None:
        """Lets go of the device at once; safe at any time, also twice. Raises nothing."""

    def controls(self) -> Sequence[Control]:
        """What can be adjusted, with current values; empty where nothing can. Raises CameraGone. From any thread."""

    def set_control(self, name: str, value: int) -> None:
        """Sets one that `controls` lists to a value in its range. From any thread.

        Raises ControlRefused, CameraGone.
        """
