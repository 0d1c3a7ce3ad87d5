"""When the fake camera exposed a picture: it says so in a comment of the JPEG, on a clock that nobody sets."""

import re
from typing import NamedTuple


class Stamp(NamedTuple):
    """`sequence` counts frames since the camera's start; `exposed_at` is CLOCK_MONOTONIC of the machine, seconds."""

    sequence: int
    exposed_at: float


def read_stamp(jpeg: bytes) -> Stamp | None:
    """The stamp, or None where another camera took the picture."""
    found = re.search(rb"seq=(\d+);t=(\d+)", jpeg[:4096])
    return Stamp(int(found[1]), int(found[2]) / 1e9) if found else None
