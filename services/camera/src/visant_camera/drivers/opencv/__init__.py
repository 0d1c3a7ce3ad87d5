"""Network streams and video files, played by OpenCV in a process that can be killed."""

from pathlib import Path
from typing import TYPE_CHECKING

from visant_camera.drivers.registry import Declaration, Wishes
from visant_runtime.redact import read

if TYPE_CHECKING:  # the child process loads this file, and needs no pydantic
    from visant_camera.drivers.base import Driver

STREAMS = ("rtsp", "rtsps")
VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".mjpeg", ".mjpg", ".m4v", ".ts"})


def _reads(source: str) -> bool:
    if "://" not in source:
        return Path(source).suffix.lower() in VIDEOS
    if not source.lower().startswith(tuple(f"{scheme}://" for scheme in STREAMS)):
        raise ValueError("an address must begin with rtsp:// or rtsps:// and name a host")
    read(source)  # its reasons quote nothing: it may be the begin of a password
    return True


def _make(wishes: Wishes) -> "Driver":
    from visant_camera.drivers.opencv.driver import OpenCvDriver

    return OpenCvDriver(wishes.source, shown=wishes.shown_source, quality=wishes.jpeg_quality)


DRIVER = Declaration(("rtsp://...", "the path of a .mp4 file"), _reads, _make)
