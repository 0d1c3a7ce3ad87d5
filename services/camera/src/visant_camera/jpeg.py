"""JPEG: is it sound, does it show anything, and how other encodings become one."""

import re
import threading
from typing import Any

import structlog

from visant_camera.frame import Frame

log = structlog.get_logger()

CONVERTED = ("UYVY", "NV12", "GREY")
"""Uncompressed formats, by V4L2's letters, that some webcams offer alone and that become BGR before a JPEG: 4:2:2,
4:2:0 in two planes, and infrared cameras' grey."""
MAX_PIXELS = 8192 * 8192
"""Of a picture that is decoded: the largest CAMERA_RESOLUTION."""
SURPLUS = 8
"""Bytes that may be left over once the whole picture was decoded, the first of them not counted (libjpeg does not):
the encoders of many webcams leave a few in every frame."""
HABIT = 10
"""Pictures in a row with more than that behind them, and with no other damage: the camera's way of coding."""
HABIT_MOST = 512
"""Bytes that may be one; a part of the picture that came twice leaves more."""
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")  # libjpeg's words
_ONE_COLOUR = 8
"""Steps of 256 between the darkest and the brightest spot of 8x8 pixels in a picture of one colour."""


class Leftovers:
    """A camera that leaves more than SURPLUS bytes behind the data of every picture codes so: it would never serve."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._lock = threading.Lock()

    def is_habit(self, surplus: int) -> bool:
        """Whether so many bytes are what this camera always leaves, as far as its last pictures show."""
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if SURPLUS < surplus <= HABIT_MOST else 0
            if self._in_a_row == HABIT:
                log.warning("the camera leaves bytes over behind every picture: served all the same", bytes=surplus)
            return surplus <= SURPLUS or self._in_a_row >= HABIT


def check(jpeg: bytes, width: int, height: int, leftovers: Leftovers) -> None:
    """Decodes it once, strictly: what libjpeg would only warn of counts. Raises ValueError, in words.

    At an eighth of its size and in grey, for what the decoder warns of is in the coded data, all of which it reads:
    3.3 ms for 1920x1080 instead of 6.7 ms. docs/camera.md says what it misses. Call it in a thread.
    """
    if width * height > MAX_PIXELS:
        raise ValueError(f"it claims to be {width}x{height} pixels, more than {MAX_PIXELS}")
    fault = None
    try:
        _decode(jpeg, strict=True)
    except ValueError as error:
        fault = str(error)
    left = _LEFT_OVER.search(fault or "")
    if not leftovers.is_habit(int(left[1]) if left else 0) or (fault and not left):
        raise ValueError(f"the JPEG is damaged: {(fault or '').removeprefix('Corrupt JPEG data: ')}")


def one_colour(frame: Frame) -> bool:
    """Whether the picture is the same everywhere, as behind a lid or in the dark. Raises ValueError."""
    data = frame.data if isinstance(frame.data, bytes) else frame.data()
    if frame.encoding == "mjpeg":
        grey = _decode(data, strict=False)
    else:
        import numpy as np

        grey = np.frombuffer(data, np.uint8)[:: 2 if frame.encoding == "yuyv" else 3]
    return int(grey.max()) - int(grey.min()) <= _ONE_COLOUR


def _decode(jpeg: bytes, *, strict: bool) -> Any:
    import simplejpeg  # brings numpy: 11 MB

    return simplejpeg.decode_jpeg(jpeg, "GRAY", fastdct=True, min_height=1, min_width=1, min_factor=8, strict=strict)


def encode(frame: Frame, quality: int) -> bytes:
    """The frame as one JPEG; a JPEG is handed through untouched. OpenCV is imported only where it must encode.

    Raises ValueError where the bytes do not fit the frame's size.
    """
    data = frame.data if isinstance(frame.data, bytes) else frame.data()
    if frame.encoding == "mjpeg":
        return data
    import cv2
    import numpy as np

    channels = {"yuyv": 2, "bgr": 3}[frame.encoding]
    pixels = np.frombuffer(data, dtype=np.uint8)
    if pixels.size != frame.width * frame.height * channels:
        raise ValueError(f"{pixels.size} bytes are no {frame.width}x{frame.height} {frame.encoding} frame")
    raw = pixels.reshape(frame.height, frame.width, channels)
    image = cv2.cvtColor(raw, cv2.COLOR_YUV2BGR_YUYV) if frame.encoding == "yuyv" else raw
    done, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a {frame.width}x{frame.height} {frame.encoding} frame cannot be encoded")
    return bytes(coded)


def to_bgr(format: str, data: bytes, width: int, height: int) -> bytes:
    """One of CONVERTED as three bytes a pixel, rows from the top. OpenCV is imported only where it is called.

    Raises ValueError where `data` has not the length the format demands.
    """
    import cv2
    import numpy as np

    pixels = np.frombuffer(data, np.uint8)
    if format == "UYVY":
        return bytes(cv2.cvtColor(pixels.reshape(height, width, 2), cv2.COLOR_YUV2BGR_UYVY))
    if format == "NV12":
        return bytes(cv2.cvtColor(pixels.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_NV12))
    return bytes(cv2.cvtColor(pixels.reshape(height, width), cv2.COLOR_GRAY2BGR))
