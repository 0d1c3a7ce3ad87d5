"""A JPEG writer for pictures made of flat 8x8 cells: no decoder, no OpenCV, and most of a picture is reused.

Each cell is one block with only its mean (DC) coefficient. A restart marker after every few cells makes each such
segment independent of its neighbours, so that only those that changed are coded again. Format: ITU-T T.81.
"""

from functools import lru_cache

Cell = tuple[int, int, int]
"""Brightness and two colour differences (Y, Cb, Cr), each -128..127."""
CELL = 8  # pixels

_QUANTISER = 8  # a flat block's DC coefficient is 8 times its value: this makes one step one level
_PAIRS = 11  # size categories 1..11 of a DC difference


def colour(red: int, green: int, blue: int) -> Cell:
    """A cell of this colour, 0..255 each (JFIF's conversion, ITU-R BT.601)."""
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return (
        _level(y - 128),
        _level((blue - y) * 0.564),
        _level((red - y) * 0.713),
    )


def _level(value: float) -> int:
    return max(-128, min(127, round(value)))


def _difference(value: int) -> str:
    """Bits of one block: the change of its mean, then end of block (our AC table's only code, one zero bit)."""
    if value == 0:
        return "0" + "0"
    category = abs(value).bit_length()
    bits = value if value > 0 else value + (1 << category) - 1
    return f"1{category - 1:04b}{bits:0{category}b}0"


_DIFFERENCES = {value: _difference(value) for value in range(-255, 256)}


@lru_cache(maxsize=16_384)
def segment(cells: tuple[Cell, ...]) -> bytes:
    """The entropy-coded bytes between two restart markers."""
    bits = []
    before = (0, 0, 0)
    for cell in cells:
        bits += [_DIFFERENCES[now - then] for now, then in zip(cell, before, strict=True)]
        before = cell
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")


def segment_length(columns: int) -> int:
    """Cells in a segment: it must divide a row so that no segment lies in two rows."""
    return max(length for length in range(1, 17) if columns % length == 0)


def assemble(width: int, height: int, comment: bytes, segments: list[bytes], length: int) -> bytes:
    """A whole JPEG of width x height pixels from its segments in reading order, `length` cells in each."""
    parts = [_head(width, height, length, comment)]
    for number, one in enumerate(segments):
        parts.append(one)
        parts.append(_RESTARTS[number % 8])
    parts[-1] = b"\xff\xd9"
    return b"".join(parts)


_RESTARTS = tuple(bytes((0xFF, 0xD0 + number)) for number in range(8))


def _head(width: int, height: int, length: int, comment: bytes) -> bytes:
    quantisers = _part(0xDB, b"\x00" + bytes([_QUANTISER]) * 64)
    frame = _part(
        0xC0,
        b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x03" + b"\x01\x11\0\x02\x11\0\x03\x11\0",
    )
    # DC: category 0 is one bit, 1..11 are five; AC: end of block alone, one bit
    dc = _part(0xC4, b"\x00" + bytes([1, 0, 0, 0, _PAIRS] + [0] * 11) + bytes(range(_PAIRS + 1)))
    ac = _part(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\x00")
    interval = _part(0xDD, length.to_bytes(2, "big"))
    scan = _part(0xDA, b"\x03\x01\0\x02\0\x03\0\x00\x3f\x00")
    jfif = _part(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    return b"\xff\xd8" + _part(0xFE, comment) + jfif + quantisers + frame + dc + ac + interval + scan


def _part(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body
