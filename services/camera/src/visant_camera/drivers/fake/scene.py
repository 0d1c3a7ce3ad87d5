"""What the fake camera sees: hills under a sky, a sun that moves, and a panel with sequence number and wall time."""

import math
from datetime import datetime

from visant_camera.drivers.fake import mosaic
from visant_camera.drivers.fake.mosaic import CELL, Cell, colour

_GLYPHS = {  # five columns wide, seven rows high
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "11110 00001 00001 01110 00001 00001 11110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    "-": "00000 00000 00000 11111 00000 00000 00000",
    ":": "00000 00100 00100 00000 00100 00100 00000",
    ".": "00000 00000 00000 00000 00000 00110 00110",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "Q": "01110 10001 10001 10001 10101 10010 01101",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}
_INK, _PANEL, _SUN = colour(245, 240, 225), colour(24, 32, 48), colour(255, 214, 110)
_SUN_PERIOD = 20.0  # seconds from one edge to the other


class Scene:
    """Pictures of width x height pixels. Drawing one takes about 2 ms at 1280x720; nothing is drawn unasked."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._columns, self._rows = -(-width // CELL), -(-height // CELL)
        self._length = mosaic.segment_length(self._columns)
        self._cells = [[self._background(x, y) for x in range(self._columns)] for y in range(self._rows)]
        self._segments: list[bytes] = []
        for y in range(self._rows):
            for x in range(0, self._columns, self._length):
                self._segments.append(mosaic.segment(tuple(self._cells[y][x : x + self._length])))

    def draw(self, sequence: int, seconds: float, wall: datetime, comment: bytes) -> bytes:
        """One JPEG; `seconds` moves the sun, `comment` is carried in the file."""
        changed: dict[tuple[int, int], Cell] = {}
        self._draw_sun(changed, seconds)
        text = wall.strftime("%Y-%m-%d"), wall.strftime("%H:%M:%S.") + f"{wall.microsecond // 1000:03d}"
        self._draw_panel(changed, (f"SEQ {sequence:06d}", *text))
        segments = self._segments.copy()
        per_row = self._columns // self._length
        for number in {y * per_row + x // self._length for x, y in changed}:
            y, first = number // per_row, number % per_row * self._length
            segments[number] = mosaic.segment(
                tuple(changed.get((x, y), self._cells[y][x]) for x in range(first, first + self._length))
            )
        return mosaic.assemble(self.width, self.height, comment, segments, self._length)

    def _background(self, x: int, y: int) -> Cell:
        across, down = x / self._columns, y / self._rows
        for number, (level, swing, waves, shade) in enumerate(
            ((0.82, 0.05, 2.0, (30, 62, 58)), (0.72, 0.07, 1.3, (52, 96, 84)), (0.62, 0.06, 0.8, (92, 132, 120)))
        ):
            if down > level + swing * math.sin(2 * math.pi * waves * across + number * 1.7):
                return colour(*shade)
        return colour(int(70 + 150 * down), int(120 + 90 * down), int(190 + 20 * down))

    def _draw_sun(self, changed: dict[tuple[int, int], Cell], seconds: float) -> None:
        along = seconds % _SUN_PERIOD / _SUN_PERIOD
        centre_x, centre_y = along * self._columns, self._rows * (0.5 - 0.38 * math.sin(math.pi * along))
        radius = max(2.0, self._rows / 14)
        for y in range(max(0, int(centre_y - radius)), min(self._rows, int(centre_y + radius) + 2)):
            for x in range(max(0, int(centre_x - radius)), min(self._columns, int(centre_x + radius) + 2)):
                if (x - centre_x) ** 2 + (y - centre_y) ** 2 <= radius**2:
                    changed[x, y] = _SUN

    def _draw_panel(self, changed: dict[tuple[int, int], Cell], lines: tuple[str, ...]) -> None:
        for y in range(2, min(self._rows, 4 + 9 * len(lines))):
            for x in range(2, min(self._columns, 4 + 6 * max(map(len, lines)))):
                changed[x, y] = _PANEL
        for number, line in enumerate(lines):
            for place, letter in enumerate(line):
                for row, dots in enumerate(_GLYPHS[letter].split()):
                    for column, dot in enumerate(dots):
                        x, y = 4 + 6 * place + column, 4 + 9 * number + row
                        if dot == "1" and x < self._columns and y < self._rows:
                            changed[x, y] = _INK
