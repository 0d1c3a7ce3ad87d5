"""JPEGs that cost a decoder far more than their bytes, written by their structure (ITU-T T.81): nothing is encoded.

Every code is one bit, 0, so coded data is zero bytes; it decodes as grey, and soundly.
"""

import random

_EOB_RUN_14 = 0xE0
"""T.81, G.1.2.2: with 14 zero bits behind it, the next 16,384 blocks have nothing."""


def segment(marker: int, body: bytes) -> bytes:
    """With its length; a body longer than 65,533 bytes has none that is right."""
    return bytes([0xFF, marker]) + min(len(body) + 2, 65_535).to_bytes(2, "big") + body


def _table(place: int, symbol: int) -> bytes:
    return segment(0xC4, bytes([place, 1, *[0] * 15, symbol]))


def _frame(marker: int, width: int, height: int, colours: int) -> bytes:
    parts = b"".join(bytes([number, 0x11, 0]) for number in range(1, colours + 1))
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return (
        b"\xff\xd8" + segment(0xDB, bytes([0, *[1] * 64])) + segment(marker, b"\x08" + size + bytes([colours]) + parts)
    )


def _scan(colours: list[int], first: int, last: int, bits: int) -> bytes:
    named = b"".join(bytes([number, 0]) for number in colours)
    return segment(0xDA, bytes([len(colours)]) + named + bytes([first, last, 0])) + bytes(bits // 8 + 1)


def _blocks(width: int, height: int) -> int:
    return -(-width // 8) * -(-height // 8)


def baseline(width: int, height: int, colours: int = 3) -> bytes:
    """Two bits a block."""
    tables = _table(0x00, 0) + _table(0x10, 0)
    scan = _scan([*range(1, colours + 1)], 0, 63, 2 * colours * _blocks(width, height))
    return _frame(0xC0, width, height, colours) + tables + scan + b"\xff\xd9"


def progressive(width: int, height: int, colours: int = 3, scans: int = 1) -> bytes:
    """One scan of all colours, and so many that go over every block of the first and say nothing of it."""
    tables = _table(0x00, 0) + _table(0x10, _EOB_RUN_14)
    blocks = _blocks(width, height)
    dc = _scan([*range(1, colours + 1)], 0, 0, colours * blocks)
    ac = _scan([1], 1, 63, -(-blocks // 16_384) * 15)
    return _frame(0xC2, width, height, colours) + tables + dc + ac * scans + b"\xff\xd9"


def mutant(jpeg: bytes, rng: random.Random) -> bytes:
    """The same with some damage of one kind."""
    data = bytearray(jpeg)
    at, to = sorted(rng.randrange(2, len(data)) for _ in range(2))
    match rng.randrange(8):
        case 0:  # bytes that are others
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(2, len(data))] = rng.randrange(256)
        case 1:  # in the header, where each means something
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(2, min(len(data), 700))] = rng.choice([0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF])
        case 2:  # a bit
            data[at] ^= 1 << rng.randrange(8)
        case 3:  # a part is missing
            del data[at:to]
        case 4:  # a part comes twice
            data[at:at] = data[at : min(to, at + 2000)]
        case 5:  # a part comes from elsewhere
            data[at : at + 64] = data[to : to + 64]
        case 6:  # a marker where none was
            data[at:at] = bytes([0xFF, rng.randrange(0xC0, 0xFF), 0, rng.randrange(256)])
        case _:  # cut off, with an end
            data[at:] = b"\xff\xd9"
    return bytes(data)
