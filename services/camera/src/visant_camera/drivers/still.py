"""An image file as a camera: whoever asks gets the file as it is at that moment."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from visant_camera.drivers.base import BadFrame, CameraAbsent, CameraGone, Control, ControlRefused, Opened
from visant_camera.drivers.registry import Declaration
from visant_camera.frame import Frame
from visant_contract.jpeg import read

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_INTERVAL = 0.01
"""Seconds between two looks at the file, each as cheap as one stat: whoever asks waits for the next."""
_SETTLED = 1.0
"""Seconds that a file must have been left alone for its times to say that it is still the same."""


class StillDriver:
    """Reads `path` anew for each wanted frame. A JPEG is handed through; other formats need OpenCV."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._is_jpeg = self._path.suffix.lower() in (".jpg", ".jpeg")
        self._sequence = 0
        self._kept: tuple[tuple[int, int, int], Frame] | None = None
        """What tells one content of the file from another, and that content; reading and checking it takes long."""

    def open(self) -> Opened:
        """Raises CameraAbsent where the file is missing or is no image (yet)."""
        try:
            frame = self._read()
        except (OSError, BadFrame) as error:
            raise CameraAbsent(f"{self._path}: {_why(error)}") from None
        return Opened(
            str(self._path), self._path.name, frame.encoding, frame.width, frame.height, 1 / _INTERVAL, timestamp_late=0
        )

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        """The file's content, exposed now. Raises CameraGone where it is away, BadFrame where it is half written."""
        time.sleep(min(timeout, _INTERVAL))
        self._sequence += 1
        try:
            if want:
                return self._newest()
            self._path.stat()
        except OSError as error:
            raise CameraGone(f"{self._path}: {_why(error)}") from None
        return None

    def close(self) -> None:
        """Nothing is held."""

    def controls(self) -> list[Control]:
        """None."""
        return []

    def set_control(self, name: str, value: int) -> None:
        """There is nothing to set."""
        raise ControlRefused(f"an image file has no {name}")

    def _newest(self) -> Frame:
        """The file as it is now."""
        now, found = time.monotonic(), self._path.stat()
        mark = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._kept is not None and self._kept[0] == mark:
            return replace(self._kept[1], sequence=self._sequence, exposed_at=now)
        frame = self._read()
        self._kept = (mark, frame) if time.time() - found.st_mtime > _SETTLED else None
        return frame

    def _read(self) -> Frame:
        now = time.monotonic()
        data = self._path.read_bytes()
        frame = partial(Frame, sequence=self._sequence, exposed_at=now)
        if self._is_jpeg:
            try:
                found = read(data)
            except ValueError as error:
                raise BadFrame(f"{self._path} is no whole JPEG: {error}") from None
            return frame(data=data[: found.end], encoding="mjpeg", width=found.width, height=found.height)
        import cv2
        import numpy as np

        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR) if data else None
        if image is None:
            raise BadFrame(f"{self._path} is no image that can be read")
        return frame(data=image.tobytes(), encoding="bgr", width=image.shape[1], height=image.shape[0])


def _why(error: OSError | BadFrame) -> str:
    return error.detail if isinstance(error, BadFrame) else (error.strerror or str(error))


def _reads(source: str) -> bool:
    return "://" not in source and Path(source).suffix.lower() in IMAGES


DRIVER = Declaration(("the path of a .jpg file",), _reads, lambda wishes: StillDriver(wishes.source))
