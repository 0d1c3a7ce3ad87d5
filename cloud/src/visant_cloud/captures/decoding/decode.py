"""What reads a picture: it is decoded once, which shows that it is whole and makes its thumbnail.

What a picture costs is read from its structure first, so that the same picture is refused on every machine alike.
"""

import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from visant_cloud.captures.picture import BrokenPicture, CostlyPicture, NotAPicture
from visant_cloud.quality.measure import measure
from visant_contract.jpeg import Jpeg, NotAJpeg, NotWhole, read

Image.MAX_IMAGE_PIXELS = None  # _cost bounds them

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

MOST_PIXELS = 200_000_000
MOST_SCANS = 500
"""An encoder that looks for the smallest file makes some ten; libjpeg-turbo's own programs may be told this number."""
MOST_VISITS = 100_000_000
"""Blocks that all scans go over: a picture of 50 megapixels in ten scans has 12 million. A scan of a few bytes goes
over as many as one that codes something."""
MOST_MEMORY = 256 << 20
"""Bytes for coefficients and pixels: a progressive picture of 44 megapixels, or of 89 with halved colours."""
_PROCESSES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Baseline, extended and progressive, by Huffman or arithmetic coding: what is decoded at an eighth of its size."""


@dataclass(frozen=True)
class Decoded:
    """Width and height in pixels, as a browser shows the picture; the thumbnail as a JPEG, turned alike.

    `figures`: quality.block.Figures, packed. Of the picture as it lies in the file, whichever way it is shown.
    """

    width: int
    height: int
    thumbnail: bytes
    figures: bytes


def decode(jpeg: bytes) -> Decoded:
    """Decodes the whole picture once, at thumbnail size. Raises NotAPicture, BrokenPicture, CostlyPicture, MemoryError.

    Takes about 12 ms for 1920x1080, 5 of them for the figures.
    """
    try:
        _refuse_costly(read(jpeg))
    except NotAJpeg as error:
        raise NotAPicture(str(error)) from None
    except NotWhole as error:
        raise BrokenPicture(f"the JPEG cannot be decoded: {error}") from None
    try:
        # Image.open would read an MPO's other pictures; Pillow warns of EXIF that cannot be read
        with warnings.catch_warnings(action="ignore"), JpegImageFile(BytesIO(jpeg)) as image:
            width, height = image.size
            turned = _turned(image)
            if turned in _ON_ITS_SIDE:
                width, height = height, width
            image.draft("RGB", _thumbnail_of(*image.size))  # of THUMBNAIL itself it would be read twice as large
            image.load()
            looked_at = image.convert("L")
            image.thumbnail(THUMBNAIL)
            small = BytesIO()
            shown = image if turned is None else image.transpose(turned)
            shown.convert("RGB").save(small, "JPEG", quality=80, comment=b"")  # else the picture's own goes along
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds at a file that was made to break it
        raise BrokenPicture(f"the JPEG cannot be decoded: {error or type(error).__name__}") from None
    # apart: what it raised would be no fault of the picture's
    return Decoded(width, height, small.getvalue(), measure(looked_at).pack())


def _refuse_costly(found: Jpeg) -> None:
    size = f"{found.width}x{found.height} pixels"
    if found.process not in _PROCESSES:
        raise BrokenPicture(f"a JPEG of the process FF {found.process:02X}, which browsers do not show")
    if found.width * found.height > MOST_PIXELS:
        raise CostlyPicture(f"the JPEG claims {size}, and {MOST_PIXELS} are the most: send a smaller one")
    if found.scans > MOST_SCANS or found.visits > MOST_VISITS:
        raise CostlyPicture(f"the JPEG goes over its {size} in {found.scans} scans: send a baseline JPEG")
    if (memory := _memory(found)) > MOST_MEMORY:
        raise CostlyPicture(
            f"the JPEG of {size} in {found.scans} scans takes {memory >> 20} MiB to decode, and {MOST_MEMORY >> 20} "
            "are the most: send a baseline JPEG, or a smaller one"
        )


def _memory(found: Jpeg) -> int:
    """Bytes: what libjpeg keeps of a picture in several scans, and the picture at the scale that it is read at."""
    kept = 128 * found.blocks if found.scans > 1 else 0
    width, height = _thumbnail_of(found.width, found.height)
    scale = next((by for by in (8, 4, 2) if min(found.width // width, found.height // height) >= by), 1)
    return kept + 4 * -(-found.width // scale) * -(-found.height // scale)


def _thumbnail_of(width: int, height: int) -> tuple[int, int]:
    """Pixels of the thumbnail of a picture of these; of a smaller picture, those that it would have."""
    by = min(THUMBNAIL[0] / width, THUMBNAIL[1] / height)
    return max(1, round(width * by)), max(1, round(height * by))


def _turned(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - Pillow raises many kinds at EXIF that cannot be read; the picture is whole
        return None
