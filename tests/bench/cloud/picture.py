"""The picture that is delivered: as large as a webcam's of a room."""

import cv2
import numpy as np

BYTES = 300_000


def picture() -> bytes:
    """A JPEG of 1920x1080 of the best quality that BYTES allow."""
    noise = np.random.default_rng(1).integers(0, 256, (270, 480, 3), np.uint8)
    room = cv2.GaussianBlur(cv2.resize(noise, (1920, 1080), interpolation=cv2.INTER_CUBIC), (0, 0), 4)
    for quality in range(95, 20, -1):
        jpeg = cv2.imencode(".jpg", room, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(jpeg) <= BYTES:
            return jpeg
    raise AssertionError("no quality is poor enough")
