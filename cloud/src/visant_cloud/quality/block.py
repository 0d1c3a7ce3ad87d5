"""The figures of one picture, as a decoder says them: in tiles, of fixed size, beside what they add up to."""

import math
import struct
from array import array
from dataclasses import dataclass
from functools import cached_property

COLUMNS, ROWS = 8, 6
TILES = COLUMNS * ROWS
"""Row by row from the upper left corner."""
WIDE, HIGH = 8, 6
"""Cells of a tile's structure."""
CELLS = WIDE * HIGH
STRUCTURE = TILES * CELLS
"""Bytes, tile after tile."""
ONE = 32
"""What one standard deviation is in a structure."""
TEXTURED = 2.5
"""Standard deviation of a tile's cells, in grey levels, from which it shows something."""
FINE = 16
"""Steps of a grey level in which fine detail is told."""
COARSE = 2
MEAN_OF_DEVIATION = math.sqrt(2 / math.pi)
"""The mean size of what is normally distributed, in deviations."""
_FINE_OF_NOISE = math.sqrt(72) / 8 * MEAN_OF_DEVIATION
"""What noise of one grey level adds to a tile's fine detail."""
_HEAD = struct.Struct("!dQ")
SIZE = _HEAD.size + 5 * TILES + 2 * TILES + STRUCTURE
"""Bytes of a block."""


@dataclass(frozen=True)
class Figures:
    """Of one picture. Grey levels are 0 to 255."""

    noise: float
    """Standard deviation of the noise, grey levels, at the size that is looked at."""
    hash: int
    """64 bits: whether each of 8x8 places is brighter than its right neighbour. Alike ones differ in few."""
    means: bytes
    """Grey level of each tile."""
    dark: bytes
    """Share of each tile's pixels that are clipped dark, in 255ths."""
    bright: bytes
    fine: bytes
    """Mean difference of a pixel from its neighbours, in sixteenths of a grey level."""
    coarse: bytes
    """Standard deviation of a tile's cells, in halves of a grey level."""
    sums: bytes
    """Two bytes a tile: of its pixels as they are. Noise of a living sensor makes others in every picture."""
    structure: bytes
    """What each tile shows, whatever the light: cells less their mean, by their deviation, signed, ONE for one
    deviation; zeros where it shows nothing."""

    def pack(self) -> bytes:
        """SIZE bytes."""
        head = _HEAD.pack(self.noise, self.hash)
        return b"".join((head, self.means, self.dark, self.bright, self.fine, self.coarse, self.sums, self.structure))

    @cached_property
    def tiles(self) -> list["array[int]"]:
        """The structure of each tile."""
        signed = array("b", self.structure)
        return [signed[start : start + CELLS] for start in range(0, STRUCTURE, CELLS)]


@dataclass(frozen=True)
class Scalars:
    """Over the tiles that count."""

    luminance: float
    """Mean grey level."""
    dark: float
    """Share of the pixels clipped dark, 0 to 1."""
    bright: float
    sharpness: float | None
    """Fine detail in proportion to coarse, noise taken off: of the detail that is there. None: there is too little."""
    detail: float
    """Mean deviation within a tile, grey levels."""
    noise: float


def unpack(block: bytes) -> Figures:
    """Raises ValueError for what `pack` cannot have made."""
    if len(block) != SIZE:
        raise ValueError(f"{len(block)} bytes, and figures have {SIZE}")
    noise, hash_ = _HEAD.unpack_from(block)
    if not 0 <= noise < 256:
        raise ValueError(f"noise of {noise}")
    parts, at = [], _HEAD.size
    for size in (TILES, TILES, TILES, TILES, TILES, 2 * TILES, STRUCTURE):
        parts.append(block[at : at + size])
        at += size
    return Figures(noise, hash_, *parts)


def scalars(figures: Figures, counted: list[int] | None = None) -> Scalars:
    """Over these tiles; None: over all."""
    tiles = range(TILES) if counted is None else counted
    count = max(1, len(tiles))
    coarse = [figures.coarse[tile] / COARSE for tile in tiles]
    seen = [tile for tile, value in zip(tiles, coarse, strict=True) if value >= TEXTURED]
    of_noise = (_FINE_OF_NOISE * figures.noise) ** 2
    fine = [math.sqrt(max(0.0, (figures.fine[tile] / FINE) ** 2 - of_noise)) for tile in seen]
    there = sum(figures.coarse[tile] / COARSE for tile in seen)
    return Scalars(
        luminance=sum(figures.means[tile] for tile in tiles) / count,
        dark=sum(figures.dark[tile] for tile in tiles) / count / 255,
        bright=sum(figures.bright[tile] for tile in tiles) / count / 255,
        # of a few tiles, or of detail hardly above the noise, it would be a guess
        sharpness=sum(fine) / there if len(seen) >= TILES // 8 and there > 2 * figures.noise * len(seen) else None,
        detail=sum(coarse) / count,
        noise=figures.noise,
    )
