"""Health that a device tells its cloud: `POST /v1/devices/{device_id}/telemetry`."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CameraHealth(_Part):
    """As the camera's `/state` says; `state` is `ok` or a reason."""

    state: str
    detail: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    bad_frames: int | None = None


class SpoolHealth(_Part):
    """Undelivered outcomes on the device."""

    pictures: int
    reports: int
    bytes: int
    limit_bytes: int
    oldest_age: float | None = None
    """Seconds since the oldest waiting file was written."""
    held: int = 0
    """Files of another cloud."""
    dead_letter: int = 0
    quarantine: int = 0
    days_left: float | None = None
    """Days until the picture limit is reached at the rate of the last day; None: unknown."""


class ClockHealth(_Part):
    wall: AwareDatetime
    synchronised: bool
    cloud_offset: float | None = None
    """Seconds that the device's wall clock is ahead of the cloud's."""


class Telemetry(BaseModel):
    """Every part is optional: a device says what it knows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    device_version: str
    boot_id: str | None = None
    uptime: float | None = None
    """Seconds since boot."""
    camera: CameraHealth | None = None
    spool: SpoolHealth | None = None
    clock: ClockHealth | None = None
    disk_free_bytes: int | None = None
    temperature: float | None = None
    """Degrees Celsius."""
    state: Literal["ok", "degraded"] = "ok"
    reasons: list[str] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    update: dict[str, Any] | None = None
    """Result of the last update, as the updater wrote it."""
    counters: dict[str, float] = Field(default_factory=dict)
