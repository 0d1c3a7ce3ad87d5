"""What reads a picture: it is decoded once, which shows that it is whole and makes its thumbnail."""

import hashlib
import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from visant_contract.jpeg import NotAJpeg, NotWhole, read

THUMBNAIL = (320, 320)
"""Pixels that a thumbnail has at most."""
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF 2.32, 4.6.4: what a camera that hangs on its side writes, and how a browser turns the picture then."""
_ON_ITS_SIDE = [_TURNS[number] for number in (5, 6, 7, 8)]
_MAX_PIXELS = 200_000_000  # a decompression bomb is a small file that claims more


class NotAPicture(ValueError):
    """The bytes are no JPEG at all."""


class BrokenPicture(ValueError):
    """A JPEG that cannot be decoded."""


@dataclass(frozen=True)
class Picture:
    """What was found in the bytes; width and height as a browser shows it."""

    jpeg: bytes
    width: int
    height: int
    sha256: str
    thumbnail: bytes


def decode(jpeg: bytes) -> Picture:
    """Decodes the whole picture once, at thumbnail size. Takes about 10 ms for 1920x1080: call it in a thread."""
    try:
        read(jpeg)
    except NotAJpeg as error:
        raise NotAPicture(str(error)) from None
    except NotWhole as error:
        raise BrokenPicture(f"the JPEG cannot be decoded: {error}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, of EXIF that cannot be read
            with Image.open(BytesIO(jpeg), formats=["JPEG"]) as image:
                width, height = image.size
                if width * height > _MAX_PIXELS:
                    raise BrokenPicture(f"the JPEG claims {width}x{height} pixels")
                turned = _turned(image)
                if turned in _ON_ITS_SIDE:
                    width, height = height, width
                image.draft("RGB", THUMBNAIL)
                image.thumbnail(THUMBNAIL)
                small = BytesIO()
                shown = image if turned is None else image.transpose(turned)
                shown.convert("RGB").save(small, "JPEG", quality=80)
    except BrokenPicture:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenPicture(f"the JPEG cannot be decoded: {error}") from None
    return Picture(jpeg, width, height, hashlib.sha256(jpeg).hexdigest(), small.getvalue())


def _turned(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - Pillow raises many kinds at EXIF that cannot be read; the picture is whole
        return None
