"""How a frame of the emulated camera carries its number and the moment its exposure began.

A JPEG carries both in a comment right after its first marker; a YUYV frame in 96 grey blocks, black or white, that
survive being encoded as JPEG. So a test can tell from any answer which frame it got and how old it was.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

BLOCK = 16
"""Side of one grey block in pixels: the size of a JPEG macroblock with halved colour."""
BITS = 96


class Stamp(NamedTuple):
    sequence: int
    exposed_at: float
    """CLOCK_MONOTONIC seconds."""


def stamped_jpeg(jpeg: bytes, sequence: int, exposed_ns: int) -> bytes:
    comment = b"seq=%08d;t=%020d" % (sequence, exposed_ns)
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment + jpeg[2:]


def jpeg_stamp(jpeg: bytes) -> Stamp:
    found = re.search(rb"seq=(\d{8});t=(\d{20})", jpeg[:2000])
    if not found:
        raise ValueError("this JPEG carries no stamp of the emulated camera")
    return Stamp(int(found[1]), int(found[2]) / 1e9)


def stamped_yuyv(width: int, height: int, sequence: int, exposed_ns: int) -> bytes:
    """A grey YUYV picture (2 bytes a pixel) whose first blocks hold the stamp, 32 bits of number, 64 of time."""
    number = sequence << 64 | exposed_ns
    columns = width // BLOCK
    bits = [number >> (BITS - 1 - i) & 1 for i in range(BITS)]
    rows = []
    for top in range(height // BLOCK):
        row = bytearray()
        for column in range(columns):
            place = top * columns + column
            luma = (235 if bits[place] else 16) if place < BITS else 128
            row += bytes([luma, 128]) * BLOCK
        rows.append(bytes(row) * BLOCK)
    picture = b"".join(rows)
    return picture + bytes([128, 128]) * (width * height - len(picture) // 2)


def grey_stamp(grey: bytes, width: int) -> Stamp:
    """Reads the blocks back from a decoded picture, one byte of grey a pixel, row by row."""
    columns = width // BLOCK
    number = 0
    for place in range(BITS):
        row, column = divmod(place, columns)
        middle = (row * BLOCK + BLOCK // 2) * width + column * BLOCK + BLOCK // 2
        number = number << 1 | (grey[middle] > 127)
    return Stamp(number >> 64, (number & (1 << 64) - 1) / 1e9)
