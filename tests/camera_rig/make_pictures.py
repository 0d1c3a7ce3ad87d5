"""Draws the pictures that the emulated camera shows: `make_pictures.py DIR` fills DIR/<width>x<height>/NN.jpg.

Beside these folders it puts one black picture a size. Runs on the host, where drawing is quick. The pictures differ
from each other and have fine detail, so that their size in bytes is like a webcam's (150 to 300 KB at 1280x720).
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

SIZES = ((1280, 720), (640, 480))
COUNT = 8


def draw(width: int, height: int, number: int) -> bytes:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / 170 + number / 3), np.sin(y / 90) * np.cos(x / 220), np.cos((x + y) / 150)]
    noise = np.random.default_rng(number).normal(0, 6, (height, width, 3))
    picture = np.clip(np.stack([127 + 70 * wave for wave in waves], -1) + noise, 0, 255).astype(np.uint8)
    cv2.putText(picture, f"F{number:02d}", (50, height // 2), cv2.FONT_HERSHEY_SIMPLEX, 4, (255, 255, 255), 5)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


def main() -> None:
    for width, height in SIZES:
        folder = Path(sys.argv[1]) / f"{width}x{height}"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(COUNT):
            (folder / f"{number:02d}.jpg").write_bytes(draw(width, height, number))
        dark = np.full((height, width, 3), 16, np.uint8)
        (folder.parent / f"dark_{width}x{height}.jpeg").write_bytes(bytes(cv2.imencode(".jpg", dark)[1]))


if __name__ == "__main__":
    main()
