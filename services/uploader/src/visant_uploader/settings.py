"""The uploader's settings: the environment, read once."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from visant_runtime.device.settings import DeviceSettings
from visant_runtime.settings import Settings, base_url

GIB = 1 << 30
MIB = 1 << 20


def _telemetry_interval(settings: dict[str, Any]) -> float:
    """Seconds; docs/settings.md says what a report costs on the way."""
    return 7200.0 if settings.get("metered") else 300.0


def _camera_url(value: str) -> str:
    if not value.startswith("unix://"):
        return base_url(value)
    if not value.removeprefix("unix://").startswith("/"):
        raise ValueError("behind unix:// stands the socket's path, which begins with /")
    return value


class SpoolSettings(Settings):
    """What `visant-uploader spool` needs; a subset, so that it works where the rest is not set."""

    spool_dir: Path = Field(
        default=Path("/var/lib/visant/spool"), description="a writable folder on a disk that survives power cuts"
    )
    spool_max_bytes: int = Field(
        default=8 * GIB, ge=MIB, description="bytes that undelivered pictures may take, at least 1048576"
    )
    """8 GiB is 19 days at one 300 KB picture a minute."""
    spool_min_free_bytes: int = Field(
        default=512 * MIB, ge=0, description="bytes of the disk that pictures leave free, 0 or more"
    )
    """Kept for reports and for Redis' append-only file, which ends Redis when it cannot be written."""


class UploaderSettings(DeviceSettings, SpoolSettings):
    """Seconds and bytes throughout."""

    camera_url: Annotated[str, AfterValidator(_camera_url)] = Field(
        default="http://127.0.0.1:8080", description="e.g. http://127.0.0.1:8080 or unix:///run/camera/camera.sock"
    )
    capture_patience: float = Field(
        default=15.0, gt=0, le=600, description="seconds to keep asking an absent camera, above 0 and at most 600"
    )
    upload_timeout: float = Field(
        default=30.0, ge=1, le=600, description="seconds in which an upload may make no progress, 1 to 600"
    )
    telemetry_interval: float = Field(
        default_factory=_telemetry_interval, ge=5, le=86400, description="seconds between health reports, 5 to 86400"
    )
    """Where it is not set: 300, with METERED=1 7200."""
    update_status_file: Path | None = Field(default=None, description="JSON that the updater leaves behind")
    host_facts_file: Path | None = Field(default=None, description="JSON that visantctl writes about the host")
    save_frames_dir: Path | None = Field(
        default=None, description="a folder that gets a copy of the newest 100 pictures"
    )
