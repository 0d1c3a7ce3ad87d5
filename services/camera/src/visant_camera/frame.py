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
    """CLOCK_MONOTONIC, seconds: the driver's best word on when exposure began. It may be late by at most
    `Opened.timestamp_late`."""
