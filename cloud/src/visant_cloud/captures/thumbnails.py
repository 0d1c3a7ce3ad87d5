"""A thumbnail made smaller, for a page that shows hundreds: our own JPEG is read, never a device's."""

from io import BytesIO

from PIL import Image

SMALL = 120
"""Pixels of its longer side."""


def smaller(thumbnail: bytes) -> bytes:
    """The thumbnail at SMALL, as a JPEG of some 3 KB; takes about 1 ms."""
    with Image.open(BytesIO(thumbnail), formats=("JPEG",)) as image:
        image.thumbnail((SMALL, SMALL))
        made = BytesIO()
        image.save(made, "JPEG", quality=75)
    return made.getvalue()
