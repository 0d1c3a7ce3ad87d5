"""Health that a device tells its cloud: `POST /v1/devices/{device_id}/telemetry`."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

_LIMIT = 2.0**63


def _usable(value: Any) -> Any:
    """One bad number must not cost the whole report: NaN, infinities and what no counter reaches become None."""
    try:
        return value if abs(float(value)) < _LIMIT else None
    except OverflowError:
        return None
    except (TypeError, ValueError):
        return value  # pydantic says what is wrong with it


def _usable_only(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: number for key, number in value.items() if _usable(number) is not None}


Number = Annotated[float | None, BeforeValidator(_usable)]
Count = Annotated[int | None, BeforeValidator(_usable)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CameraHealth(_Part):
    """As the camera's `/state` says; `state` is `ok` or a reason."""

    state: str
    detail: str | None = None
    width: Count = None
    height: Count = None
    fps: Number = None
    bad_frames: Count = None
    settings: dict[str, str] | None = None
    """What the cloud wants of the camera: setting to `applied`, `waiting`, `unknown` or `refused: why`."""


class SpoolHealth(_Part):
    """Undelivered outcomes on the device."""

    pictures: Count = None
    reports: Count = None
    bytes: Count = None
    limit_bytes: Count = None
    oldest_age: Number = None
    """Seconds since the oldest waiting file was written."""
    held: Count = 0
    """Files of another cloud."""
    dead_letter: Count = 0
    quarantine: Count = 0
    days_left: Number = None
    """Days until the picture limit is reached at the rate of the last day; None: unknown."""


class ClockHealth(_Part):
    wall: AwareDatetime
    synchronised: bool
    cloud_offset: Number = None
    """Seconds that the device's wall clock is ahead of the cloud's."""


class NetworkUse(_Part):
    """What one service sent and received since it started: the bytes of its container's interfaces but loopback, as the
    kernel counts them, headers of Ethernet, IP, TCP and TLS included. Of a process without a container: the machine's.
    """

    seconds: Number = None
    """Since it started."""
    received_bytes: Count = None
    sent_bytes: Count = None


class Telemetry(BaseModel):
    """Every part is optional: a device says what it knows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    device_version: str
    boot_id: str | None = None
    uptime: Number = None
    """Seconds since boot."""
    camera: CameraHealth | None = None
    spool: SpoolHealth | None = None
    clock: ClockHealth | None = None
    disk_free_bytes: Count = None
    temperature: Number = None
    """Degrees Celsius."""
    state: Literal["ok", "degraded"] = "ok"
    reasons: list[str] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    update: dict[str, Any] | None = None
    """Result of the last update, as the updater wrote it."""
    metered: bool | None = None
    """METERED, as it is set there."""
    network: dict[str, NetworkUse] = Field(default_factory=dict)
    """By service, of those that speak to the cloud; the connector's is as old as its last look (20 s)."""
    counters: Annotated[dict[str, float], BeforeValidator(_usable_only)] = Field(default_factory=dict)
