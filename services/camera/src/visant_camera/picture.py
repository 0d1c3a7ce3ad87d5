"""A frame on its way to whoever asked: encoded at most once, however many share it."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from visant_camera.drivers.base import BadFrame
from visant_camera.frame import Frame
from visant_camera.jpeg import encode


@dataclass(frozen=True, slots=True)
class Moment:
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

    def __init__(self, frame: Frame, exposed: Moment, *, quality: int) -> None:
        self.frame = frame
        self.exposed = exposed
        self._quality = quality
        self._lock = threading.Lock()
        self._jpeg: bytes | None = frame.data if frame.encoding == "mjpeg" and isinstance(frame.data, bytes) else None

    @property
    def ready(self) -> bool:
        """Whether `jpeg` costs nothing."""
        return self._jpeg is not None

    def jpeg(self) -> bytes:
        """The picture as a JPEG. Raises BadFrame where it cannot be made."""
        with self._lock:
            if self._jpeg is None:
                try:
                    self._jpeg = encode(self.frame, self._quality)
                except ValueError as error:
                    raise BadFrame(str(error)) from None
            return self._jpeg


def exposure_moment(exposed_at: float, *, monotonic: float, boottime: float, wall: float) -> Moment:
    """The other clocks' readings at `exposed_at`, from one reading of all three now (`wall`: seconds since 1970)."""
    age = monotonic - exposed_at
    return Moment(exposed_at, boottime - age, wall - age)
