"""What `GET /state` says."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class CameraState(BaseModel):
    """`GET /state`. The first six fields are what the device's telemetry takes over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: str
    """`ok` or a reason of the snapshot interface."""
    detail: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    """Measured."""
    bad_frames: int = 0
    """Received and never served, since the start."""
    remedy: str | None = None
    source: str
    """Without credentials."""
    name: str | None = None
    encoding: str | None = None
    nominal_fps: float | None = None
    refusals: tuple[str, ...] = ()
    """Wishes that the camera did not grant."""
    freshness_margin: float | None = None
    """Seconds after the request from which a frame's timestamp counts."""
    idle: bool = False
    """Frames are drained without being copied: nobody asks."""
    frames: int = 0
    """Received since the start."""
    opens: int = 0
    last_error: str | None = None
    last_error_at: AwareDatetime | None = None
