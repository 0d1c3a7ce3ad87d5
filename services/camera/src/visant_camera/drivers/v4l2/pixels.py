"""Formats that OpenCV must turn into BGR before a JPEG can be made of them. OpenCV is imported at the first use."""

CONVERTED = ("UYVY", "NV12", "GREY")
"""Uncompressed formats that some webcams offer alone: 4:2:2, 4:2:0 in two planes, and infrared cameras' grey."""


def to_bgr(format: str, data: bytes, width: int, height: int) -> bytes:
    """Three bytes a pixel, rows from the top. Raises ValueError where `data` has not the length the format demands."""
    import cv2
    import numpy as np

    pixels = np.frombuffer(data, np.uint8)
    if format == "UYVY":
        return bytes(cv2.cvtColor(pixels.reshape(height, width, 2), cv2.COLOR_YUV2BGR_UYVY))
    if format == "NV12":
        return bytes(cv2.cvtColor(pixels.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_NV12))
    return bytes(cv2.cvtColor(pixels.reshape(height, width), cv2.COLOR_GRAY2BGR))
