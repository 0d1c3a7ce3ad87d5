"""A frame as a driver hands it out: what drivers, the JPEG coder and the service have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["mjpeg", "yuyv", "bgr"]
"""`mjpeg`: one whole JPEG. `yuyv`: 4:2:2, two bytes a pixel. `bgr`: three bytes a pixel, rows from the top."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame that somebody asked for. Two frames are the same only when they are one object."""

    data: bytes | Callable[[], bytes]
    """The bytes in `encoding`, or a function that makes them; it is called once, and only when the frame is served."""
    encoding: Encoding
    width: int
    height: int
    sequence: int
    """Counts the source's frames, those lost or not asked for too; starts anywhere, never runs backwards while open."""
    exposed_at: float
    """The frame's stamp on CLOCK_MONOTONIC, in seconds: the driver's best word on when it was exposed."""
    stamp_before: float | None = None
    """The stamp of the picture before this one, for a camera that exposes one while it sends the other: this one's
    exposure began no earlier than that stamp less `Opened.timestamp_late`, however long it took. None: `exposed_at` is
    the begin of the exposure itself."""
    uniform: bool = False
    """It repeats the one before byte for byte and shows one colour alone: a covered lens, or darkness."""

    @property
    def begun_after(self) -> float:
        """Exposure began at this moment, less `Opened.timestamp_late`, or later."""
        return self.exposed_at if self.stamp_before is None else self.stamp_before
