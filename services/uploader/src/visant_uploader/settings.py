"""The uploader's settings: the environment, read once."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, RedisDsn, TypeAdapter, field_validator, model_validator

from visant_contract.ids import DEVICE_ID_PATTERN
from visant_runtime.settings import BaseUrl, Settings, Token, read_secret_file

GIB = 1 << 30
MIB = 1 << 20


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


class UploaderSettings(SpoolSettings):
    """Seconds and bytes throughout."""

    device_id: Annotated[str, Field(pattern=DEVICE_ID_PATTERN)] = Field(
        description="the device's name at the cloud: letters, digits, `.`, `_`, `-`, at most 64"
    )
    api_url: BaseUrl = Field(description="the cloud's address, e.g. https://cloud.example.com")
    device_token: Token | None = Field(default=None, description="printed once by the cloud's create-device")
    device_token_file: Path | None = Field(default=None, description="a file that holds the device's token")
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="e.g. redis://127.0.0.1:6379/0")
    camera_url: BaseUrl = Field(default="http://127.0.0.1:8080", description="e.g. http://127.0.0.1:8080")
    capture_patience: float = Field(
        default=15.0, gt=0, le=600, description="seconds to keep asking an absent camera, 0 to 600"
    )
    command_ttl: float = Field(
        default=300.0, gt=0, le=86400, description="seconds a plain cloud's command stays valid, 0 to 86400"
    )
    upload_timeout: float = Field(
        default=30.0, ge=1, le=600, description="seconds that one upload may take in all, 1 to 600"
    )
    telemetry_interval: float = Field(
        default=300.0, ge=5, le=86400, description="seconds between health reports, 5 to 86400"
    )
    update_status_file: Path | None = Field(default=None, description="JSON that the updater leaves behind")
    save_frames_dir: Path | None = Field(
        default=None, description="a folder that gets a copy of the newest 100 pictures"
    )

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str) -> str:
        TypeAdapter(RedisDsn).validate_python(value)
        return value

    @model_validator(mode="after")
    def _one_token(self) -> "UploaderSettings":
        if self.device_token_file is not None:
            token = read_secret_file("DEVICE_TOKEN_FILE", self.device_token_file)
            object.__setattr__(self, "device_token", token)
        return self
