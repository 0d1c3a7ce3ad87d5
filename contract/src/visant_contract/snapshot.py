"""`GET /snapshot` between uploader and camera: header and query names.

200: the picture (`image/jpeg`) with the headers below. 503: problem details whose `reason` is one of
SNAPSHOT_REASONS. Query: `timeout_ms` bounds the wait for a frame, `max_age_ms` allows an older one.
"""

from pydantic import BaseModel, ConfigDict

from visant_contract.outcome import Reason

CAPTURED_AT = "X-Captured-At"
"""RFC 3339 UTC time of exposure by the device's wall clock (which may be wrong)."""
CAPTURED_BOOTTIME = "X-Captured-Boottime"
"""Seconds of CLOCK_BOOTTIME at exposure, decimal."""
SEQUENCE = "X-Sequence"
WIDTH = "X-Width"
HEIGHT = "X-Height"
UNIFORM = "X-Uniform"
"""`1` where the picture repeats exactly and is of one colour (a covered lens, darkness), also after the camera was
opened anew; else absent."""

SNAPSHOT_REASONS = (
    Reason.CAMERA_ABSENT,
    Reason.CAMERA_STALLED,
    Reason.CAMERA_STARTING,
    Reason.BAD_FRAMES,
)

DEFAULT_TIMEOUT_MS = 2000


class SnapshotInfo(BaseModel):
    """The headers of a snapshot, read at the door."""

    model_config = ConfigDict(frozen=True)

    captured_boottime: float
    sequence: int
    width: int
    height: int

    def headers(self) -> dict[str, str]:
        """As HTTP header fields (the wall time is the camera's to add)."""
        return {
            CAPTURED_BOOTTIME: f"{self.captured_boottime:.6f}",
            SEQUENCE: str(self.sequence),
            WIDTH: str(self.width),
            HEIGHT: str(self.height),
        }
