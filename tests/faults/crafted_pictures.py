"""JPEGs that cost whoever decodes them far more than they cost to send. Each is made of a small real one."""

import io
import re
from functools import lru_cache

from PIL import Image

_EOI, _SOF2 = b"\xff\xd9", b"\xff\xc2"
_SCAN = re.compile(rb"\xff\xda(?:[^\xff]|\xff\x00)*")
"""From SOS to the next marker (T.81, B.1.1.5)."""
_SIDE = 13_000
_REPEATED_BYTES = 260_000


@lru_cache
def crafted() -> tuple[tuple[str, bytes], ...]:
    """(what it is, the JPEG) of each."""
    return (
        ("picture of many pixels", many_pixels()),
        ("picture of many scans", many_scans()),
        ("picture cut off", _progressive(640)[:-2000] + _EOI),
        ("picture that is none", b"\xff\xd8\xff" + b"\0" * 200_000 + _EOI),
        ("honest picture", _progressive(320)),
    )


def many_pixels() -> bytes:
    """A progressive JPEG of a few kB that claims 13,000 x 13,000 pixels, all of which a decoder keeps."""
    jpeg = bytearray(_progressive(640))
    at = jpeg.index(_SOF2) + 5  # marker, length, precision: then height and width (T.81, B.2.2)
    jpeg[at : at + 4] = _SIDE.to_bytes(2, "big") * 2
    return bytes(jpeg)


def many_scans() -> bytes:
    """A progressive JPEG of 4000 x 4000 pixels, one scan of which comes again and again: each is a pass over all of it.

    A scan of frequencies that a grey picture lacks takes 20 bytes, whatever the number of pixels.
    """
    jpeg = _saved(Image.new("RGB", (4000, 4000), (90, 90, 90)))
    at, end = min((found.span() for found in _SCAN.finditer(jpeg)), key=lambda span: span[1] - span[0])
    return jpeg[:end] + jpeg[at:end] * (_REPEATED_BYTES // (end - at)) + jpeg[end:]


@lru_cache
def _progressive(side: int) -> bytes:
    return _saved(Image.linear_gradient("L").resize((side, side)).convert("RGB"))


def _saved(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "JPEG", progressive=True, quality=50)
    return data.getvalue()
