"""What goes over the pipes between the service and its capture process.

To the child: one line of JSON (Order), then single bytes, WANT or DRAIN, whenever the wish changes. From the child:
messages of a head (kind and length) and a body.
"""

import json
import struct
from dataclasses import asdict, dataclass

WANT, DRAIN = b"w", b"d"

HEAD = struct.Struct("<cI")
"""Kind, length of the body in bytes."""
FRAME_HEAD = struct.Struct("<QddII")
"""Sequence, exposure (CLOCK_MONOTONIC, seconds), how much older it may be than a stream's stamps tell (seconds), width,
height; the JPEG follows."""

OPENED, DRAINED, FRAME, BAD, FAILED = b"o", b"d", b"f", b"b", b"x"
"""Playing (JSON of Playing); a frame nobody wanted; a frame; a frame that cannot be used (text); the end (text)."""


@dataclass(frozen=True)
class Order:
    """What to play. Times in seconds."""

    source: str
    live: bool
    """True: a network stream. False: a file, played at its own pace, again and again."""
    quality: int
    open_timeout: float
    read_timeout: float

    def line(self) -> bytes:
        """As the child reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True)
class Playing:
    """What is being played."""

    width: int
    height: int
    fps: float

    def body(self) -> bytes:
        """As the parent reads it."""
        return json.dumps(asdict(self)).encode()
