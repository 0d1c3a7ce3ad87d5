"""The settings of the camera service."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from visant_runtime.settings import Settings

SourceKind = Literal["v4l2", "stream", "video", "image", "fake"]
IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".mjpeg", ".mjpg", ".m4v", ".ts"})
STREAMS = ("rtsp", "rtsps")


def source_kind(source: str) -> SourceKind:
    """Which driver reads `source`. Raises ValueError, in words for the person who wrote it."""
    if source == "fake":
        return "fake"
    if source.isdecimal() or re.fullmatch(r"/dev/(video\d+|v4l/.+)", source):
        return "v4l2"
    if "://" in source:
        parts = urlsplit(source)
        if parts.scheme not in STREAMS or not parts.hostname:
            raise ValueError("an address must begin with rtsp:// or rtsps:// and name a host")
        try:
            _ = parts.port
        except ValueError:  # its text would quote what may be the begin of a password
            raise ValueError("the port is no number; in a password write / as %2F, # as %23, ? as %3F") from None
        return "stream"
    suffix = Path(source).suffix.lower()
    if suffix in IMAGES:
        return "image"
    if suffix in VIDEOS:
        return "video"
    raise ValueError("it is no number, device, address, image file or video file")


def without_credentials(source: str) -> str:
    """`source` as it may be shown: what stands before the last @, and any query, may be a secret.

    A password may contain / and @ unescaped, so nothing finer is safe; an @ in the path costs the host's name.
    """
    if "://" not in source:
        return source
    scheme, _, rest = source.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def _source(value: str) -> str:
    source_kind(value.strip())
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

    camera_source: Annotated[
        str,
        AfterValidator(_source),
        Field(
            description="set 0 or /dev/video0 or a /dev/v4l/by-path/ name (webcam), rtsp://..., "
            "the path of a .jpg or .mp4 file, or fake"
        ),
    ] = "0"
    camera_resolution: Annotated[
        str | None,
        AfterValidator(lambda value: None if value is None else _resolution(value)),
        Field(description="set it like 1920x1080; the nearest size the camera has is taken"),
    ] = None
    """Unset: 1920x1080, and 1280x720 for the fake camera."""
    camera_fps: Annotated[float, Field(ge=0.1, le=240, description="frames a second to ask for, like 30")] = 30.0
    camera_warmup: Annotated[int, Field(ge=0, le=300, description="a number of frames from 0 to 300")] = 2
    """Frames discarded after each open: the first ones of many webcams are dark or broken."""
    camera_freshness_margin: Annotated[
        float | None, Field(ge=0, le=5, description="seconds from 0 to 5, or unset for what the driver says")
    ] = None
    """A picture counts as taken after the request when its timestamp lies this many seconds after it.

    Why it is not 0: the kernel's uvcvideo stamps a frame when its first bytes arrive, measured 0.6 to 16 ms after
    exposure began, so a frame whose exposure began just before the request can carry a stamp just after it. Unset,
    the driver's own bound is used: one frame interval for a webcam, 0.5 s for a network stream (its way through
    encoder and network is unknown), nothing for files and the fake camera, which stamp exactly. Each picture takes at
    least so long; the uploader finds out by asking for longer and longer, within its CAPTURE_PATIENCE.
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

    @property
    def kind(self) -> SourceKind:
        """Which driver reads the source."""
        return source_kind(self.camera_source)

    @property
    def shown_source(self) -> str:
        """The source without credentials."""
        return without_credentials(self.camera_source)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) to ask for."""
        default = "1280x720" if self.kind == "fake" else "1920x1080"
        width, _, height = (self.camera_resolution or default).partition("x")
        return int(width), int(height)

    def secrets(self) -> list[str]:
        """The credentials inside the source."""
        if "://" not in self.camera_source:
            return super().secrets()
        place, _, query = self.camera_source.partition("://")[2].partition("?")
        user = place.rpartition("@")[0]
        hidden = (user, user.partition(":")[2], query)
        return [*super().secrets(), *(one for one in hidden if one)]
