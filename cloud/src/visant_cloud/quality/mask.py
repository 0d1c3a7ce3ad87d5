"""What of a picture does not count: polygons become the tiles that they cover."""

from collections.abc import Sequence

from visant_cloud.quality.block import COLUMNS, ROWS, TILES

MOST_POLYGONS = 16
MOST_POINTS = 32
LEAST_TILES = TILES // 4
"""Tiles that must be left."""
_ACROSS = 6
"""Points of a tile that are looked at, each way."""

Point = tuple[float, float]
"""x from the left and y from the top, 0 to 1."""


def covered(polygons: Sequence[Sequence[Point]]) -> list[int]:
    """The tiles of which polygons cover half and more."""
    found = []
    for tile in range(TILES):
        row, column = divmod(tile, COLUMNS)
        points = [
            ((column + (x + 0.5) / _ACROSS) / COLUMNS, (row + (y + 0.5) / _ACROSS) / ROWS)
            for x in range(_ACROSS)
            for y in range(_ACROSS)
        ]
        inside = sum(1 for point in points if any(_inside(point, one) for one in polygons))
        if 2 * inside >= len(points):
            found.append(tile)
    return found


def _inside(point: Point, polygon: Sequence[Point]) -> bool:
    """By the number of edges that a line to the left crosses."""
    x, y = point
    within = False
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (ay > y) != (by > y) and x > ax + (y - ay) * (bx - ax) / (by - ay):
            within = not within
    return within
