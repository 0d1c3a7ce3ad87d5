"""USB webcams through the kernel's Video4Linux2."""

import re

from visant_camera.drivers.base import Driver
from visant_camera.drivers.registry import Declaration, Wishes


def _reads(source: str) -> bool:
    return source.isdecimal() or re.fullmatch(r"/dev/(video\d+|v4l/.+)", source) is not None


def _make(wishes: Wishes) -> Driver:
    from visant_camera.drivers.v4l2.driver import V4l2Driver

    return V4l2Driver(wishes.source, size=wishes.size, fps=wishes.fps)


DRIVER = Declaration(("0 or /dev/video0 or a /dev/v4l/by-path/ name (webcam)",), _reads, _make)
