"""The settings of the camera service."""

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from visant_camera.drivers import registry
from visant_camera.drivers.registry import Declaration, Wishes
from visant_runtime.redact import shown
from visant_runtime.settings import Settings


def _source(value: str) -> str:
    registry.find(value.strip())
    return value.strip()


def _resolution(value: str) -> str:
    found = re.fullmatch(r"([0-9]{2,4})x([0-9]{2,4})", value.strip().lower())
    if found is None or not all(16 <= int(side) <= 8192 for side in found.groups()):
        raise ValueError("it is not WIDTHxHEIGHT, each from 16 to 8192")
    return found[0]


def _state_dir() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "visant-camera"


class CameraSettings(Settings):
    """Times in seconds, sizes in pixels."""

    camera_source: Annotated[str, AfterValidator(_source), Field(description=f"set {registry.sources()}")] = "0"
    camera_resolution: Annotated[
        str | None,
        AfterValidator(lambda value: None if value is None else _resolution(value)),
        Field(description="set it like 1920x1080; the nearest size the camera has is taken"),
    ] = None
    """Unset: 1920x1080, where the driver declares no other size."""
    camera_fps: Annotated[float, Field(ge=0.1, le=240, description="frames a second to ask for, like 30")] = 30.0
    camera_warmup: Annotated[int, Field(ge=0, le=300, description="a number of frames from 0 to 300")] = 2
    """Frames discarded after each open: the first ones of many webcams are dark or broken."""
    camera_freshness_margin: Annotated[
        float | None, Field(ge=0, le=5, description="seconds from 0 to 5, or unset for what the driver says")
    ] = None
    """Seconds that a stamp may be late. A webcam's picture counts as taken after the request when the picture before it
    was stamped so many seconds after the request, or later; another source's, when it was so itself.

    Why it is not 0: the kernel's uvcvideo stamps a frame when its first bytes arrive, measured 0.6 to 16 ms after its
    exposure ended. The next exposure begins no earlier than that one ended, however long it takes: no frame rate is
    asked or believed. Unset, the driver's own bound is used: 16 ms for a webcam, 0.5 s for a network stream (its way
    through encoder and network is unknown), nothing for files and the fake camera, which stamp exactly. The uploader
    finds out how long pictures take by asking for longer and longer, within its CAPTURE_PATIENCE.
    """
    camera_idle_after: Annotated[float, Field(ge=0, description="seconds, like 60")] = 60.0
    """So long after the last request that needs old frames, frames are drained without copying or decoding."""
    camera_stall_after: Annotated[float, Field(ge=0.2, le=60, description="seconds from 0.2 to 60")] = 1.5
    """No good frame for so long means stalled; raise it for a camera that sends fewer than one a second."""
    camera_jpeg_quality: Annotated[int, Field(ge=1, le=100, description="1 to 100")] = 90
    """For frames that do not come as JPEG."""
    camera_state_dir: Annotated[Path, Field(description="a folder this user may write")] = Field(
        default_factory=_state_dir
    )
    """Keeps the camera's controls (brightness, focus, ...) across restarts."""
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, description="a port; 0: any free one")] = 8080
    http_socket: Annotated[Path | None, Field(description="a path in a folder this user may write, or unset")] = None
    """A Unix socket beside the port, with places of its own: the uploader's way in, whoever fills the port."""

    @property
    def driver(self) -> Declaration:
        """The driver that reads the source."""
        return registry.find(self.camera_source)

    @property
    def shown_source(self) -> str:
        """The source without what may be secret in it."""
        return shown(self.camera_source)

    @property
    def wishes(self) -> Wishes:
        """What is asked of that driver."""
        size = self.driver.default_size
        if self.camera_resolution is not None:
            width, _, height = self.camera_resolution.partition("x")
            size = int(width), int(height)
        return Wishes(self.camera_source, self.shown_source, size, self.camera_fps, self.camera_jpeg_quality)
