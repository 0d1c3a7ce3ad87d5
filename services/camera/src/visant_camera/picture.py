"""A frame on its way to whoever asked: encoded or checked at most once, however many share it."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from visant_camera.drivers.base import BadFrame
from visant_camera.frame import Frame
from visant_camera.jpeg import Leftovers, check, encode


@dataclass(frozen=True, slots=True)
class Timestamp:
    """When a picture was exposed, on three clocks, in seconds; `unix_time` since 1970."""

    monotonic: float
    boottime: float
    unix_time: float

    @property
    def wall(self) -> datetime:
        """The wall clock's reading, UTC."""
        return datetime.fromtimestamp(self.unix_time, UTC)


class Picture:
    """`exposed` is fixed when the frame arrives: the wall clock may jump before it is served."""

    def __init__(self, frame: Frame, exposed: Timestamp, *, quality: int, leftovers: Leftovers) -> None:
        self._leftovers = leftovers
        self.frame = frame
        self.exposed = exposed
        self._quality = quality
        self._lock = threading.Lock()
        self._jpeg: bytes | None = None
        self._fault: str | None = None

    @property
    def ready(self) -> bool:
        """Whether `jpeg` costs nothing."""
        return self._jpeg is not None

    def jpeg(self) -> bytes:
        """The picture as a JPEG. Raises BadFrame where none can be made of it, or the camera's own is damaged."""
        with self._lock:
            if self._jpeg is None and self._fault is None:
                try:
                    jpeg = encode(self.frame, self._quality)
                    if self.frame.encoding == "mjpeg":
                        check(jpeg, self.frame.width, self.frame.height, self._leftovers)
                    self._jpeg = jpeg
                except ValueError as error:
                    self._fault = f"frame {self.frame.sequence}: {error}"
            if self._jpeg is None:
                raise BadFrame(self._fault or "")
            return self._jpeg


def timestamp(exposed_at: float, *, monotonic: float, boottime: float, wall: float) -> Timestamp:
    """The other clocks' readings at `exposed_at`, from one reading of all three now (`wall`: seconds since 1970)."""
    age = monotonic - exposed_at
    return Timestamp(exposed_at, boottime - age, wall - age)
