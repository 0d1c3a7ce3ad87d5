"""Which driver reads CAMERA_SOURCE. A module or package in this folder is a driver when it declares a `DRIVER`.

They are found by being there: no list names them. Each start loads all declarations, and OpenCV's child process its
own, so this module needs the standard library alone; what a driver needs beyond that, it imports in `make`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visant_camera import drivers

if TYPE_CHECKING:
    from starlette.routing import Route

    from visant_camera.drivers.base import Driver

_LEFT_OUT = {"fake": "this image has no fake camera, the one that compose.emulation.yaml builds has it"}
"""Drivers that are no part of every image, by their CAMERA_SOURCE; and where they are."""


@dataclass(frozen=True)
class Wishes:
    """What the settings ask of a driver; its `Opened` tells what the device granted."""

    source: str
    """CAMERA_SOURCE, without blanks around it."""
    shown_source: str
    """The same without credentials, for whatever a person reads."""
    size: tuple[int, int]
    """(width, height) in pixels."""
    fps: float
    """Frames a second."""
    jpeg_quality: int
    """1 to 100, for a driver that encodes by itself."""


def _no_routes(driver: "Driver") -> "Sequence[Route]":
    return ()


@dataclass(frozen=True)
class Declaration:
    """What a driver says of itself, without being loaded."""

    sources: tuple[str, ...]
    """What a person may set, as it reads behind the word `set`: `("rtsp://...", "the path of a .mp4 file")`."""
    reads: Callable[[str], bool]
    """Whether this CAMERA_SOURCE is the driver's. Raises ValueError with the reason where it would be, but for a slip
    of the pen in it."""
    make: "Callable[[Wishes], Driver]"
    """The driver, not yet open."""
    default_size: tuple[int, int] = (1920, 1080)
    """(width, height) to ask for where CAMERA_RESOLUTION is unset."""
    routes: "Callable[[Driver], Sequence[Route]]" = _no_routes
    """What the web server answers for this driver beside what it answers for all; given what `make` made."""


def declarations() -> list[Declaration]:
    """Those of all drivers that are here."""
    names = [module.name for module in pkgutil.iter_modules(drivers.__path__)]
    found = [getattr(importlib.import_module(f"{drivers.__name__}.{name}"), "DRIVER", None) for name in names]
    return [one for one in found if isinstance(one, Declaration)]


def sources() -> str:
    """What CAMERA_SOURCE may be, in words."""
    *others, last = sorted(text for one in declarations() for text in one.sources)
    return f"{', '.join(others)}, or {last}"


def find(source: str) -> Declaration:
    """The driver that reads `source`. Raises ValueError, in words for the person who wrote it."""
    found = []
    reason = _LEFT_OUT.get(source, "no driver reads it")
    for one in declarations():
        try:
            if one.reads(source):
                found.append(one)
        except ValueError as error:
            reason = str(error)
    if len(found) > 1:
        raise ValueError(f"it could be {' or '.join(one.sources[0] for one in found)}: two drivers read it")
    if not found:
        raise ValueError(reason)
    return found[0]
