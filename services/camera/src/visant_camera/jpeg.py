"""JPEG: is it whole, how large is it, and how other encodings become one."""

from visant_camera.frame import Frame

CONVERTED = ("UYVY", "NV12", "GREY")
"""Uncompressed formats, by V4L2's letters, that some webcams offer alone and that become BGR before a JPEG: 4:2:2,
4:2:0 in two planes, and infrared cameras' grey."""
START, END = b"\xff\xd8", b"\xff\xd9"
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 without DHT, JPG, DAC


def is_whole(data: bytes) -> bool:
    """Whether `data` begins and ends as a JPEG does; some webcams pad with zeros after the end."""
    return data.startswith(START) and data.rstrip(b"\0").endswith(END)


def size(data: bytes) -> tuple[int, int] | None:
    """(width, height) as the header says; None where there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _SIZE_MARKERS:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


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
