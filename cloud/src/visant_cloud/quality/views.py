"""How the scene looks: a few pictures that a new one is compared with, tile by tile, whatever the light."""

import base64
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from typing import Any

from visant_cloud.quality.block import CELLS, COARSE, ONE, STRUCTURE, TEXTURED, TILES, Figures

MOST = 5
"""Views of a device: day, night, sun from the left, from the right."""
ENOUGH = 8
"""Tiles that show something, from which two pictures can be compared."""
_ALIKE = 0.5
"""Correlation from which a tile shows the same."""
_BORDER = TEXTURED * COARSE


@dataclass(frozen=True)
class View:
    """One picture of the scene. `made` and `used` in seconds since 1970."""

    structure: bytes
    coarse: bytes
    made: float
    used: float

    @cached_property
    def tiles(self) -> list["array[int]"]:
        """The structure of each tile."""
        signed = array("b", self.structure)
        return [signed[start : start + CELLS] for start in range(0, STRUCTURE, CELLS)]

    def as_json(self) -> list[Any]:
        """Some 3 kB."""
        packed = base64.b64encode(self.structure + self.coarse).decode()
        return [packed, round(self.made), round(self.used)]


def view_of(figures: Figures, at: float) -> View:
    """As this picture shows it."""
    return View(figures.structure, figures.coarse, at, at)


def view_from_json(kept: Any) -> View | None:
    """What `as_json` made; None for anything else."""
    try:
        packed, made, used = kept
        data = base64.b64decode(packed, validate=True)
        if len(data) != STRUCTURE + TILES:
            return None
        return View(data[:STRUCTURE], data[STRUCTURE:], float(made), float(used))
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Match:
    """A picture beside a view. In tiles of those that count; `shown`: where the view shows something."""

    shown: int
    alike: int
    lost: frozenset[int]
    """Where the picture shows nothing, and the view did."""

    @property
    def agreement(self) -> float:
        """0 to 1."""
        return self.alike / self.shown if self.shown else 0.0


def compare(picture: Figures | View, view: View, counted: Iterable[int]) -> Match:
    """Tile by tile."""
    shown, alike, lost = 0, 0, set()
    for tile in counted:
        if view.coarse[tile] < _BORDER:
            continue
        shown += 1
        if picture.coarse[tile] < _BORDER:
            lost.add(tile)
        elif sum(map(mul, picture.tiles[tile], view.tiles[tile])) >= _ALIKE * CELLS * ONE * ONE:
            alike += 1
    return Match(shown, alike, frozenset(lost))


def best(picture: Figures, views: Sequence[View], counted: Sequence[int]) -> tuple[int, Match] | None:
    """The place of the view that fits best, and how; None where no view shows enough."""
    found = [(place, compare(picture, view, counted)) for place, view in enumerate(views)]
    found = [one for one in found if one[1].shown >= ENOUGH]
    return max(found, key=lambda one: one[1].agreement, default=None)


def textured(picture: Figures, counted: Sequence[int]) -> int:
    """Tiles that show something."""
    return sum(1 for tile in counted if picture.coarse[tile] >= _BORDER)
