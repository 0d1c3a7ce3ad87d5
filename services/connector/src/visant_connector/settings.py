"""What the connector is told by its environment."""

from importlib import metadata
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from visant_contract.ids import DeviceId
from visant_runtime.settings import BaseUrl, Settings, SettingsError, Token, read_secret_file


class ConnectorSettings(Settings):
    """Frozen; every duration is in seconds."""

    device_id: Annotated[
        DeviceId,
        Field(
            description="the name under which the cloud knows this device: 1 to 64 letters, digits, dots, "
            "hyphens or underscores, e.g. DEVICE_ID=FLOOR1"
        ),
    ]
    api_url: Annotated[
        BaseUrl, Field(description="the cloud's address without /v1, e.g. API_URL=https://cloud.example")
    ]
    device_token: Annotated[
        Token | None,
        Field(description="the token that `visant-cloud create-device` printed, one word; or set DEVICE_TOKEN_FILE"),
    ] = None
    device_token_file: Annotated[
        Path | None, Field(description="a file that holds the token alone; leave DEVICE_TOKEN empty then")
    ] = None
    redis_url: Annotated[
        str,
        Field(pattern=r"^(rediss?|unix)://", description="e.g. REDIS_URL=redis://127.0.0.1:6379/0"),
    ] = "redis://127.0.0.1:6379/0"
    stream_timeout: Annotated[
        float, Field(ge=1, le=3600, description="seconds of silence, 1 to 3600; above the cloud's ping interval")
    ] = 70.0
    """A stream without an event for so long is dead; twice `ping_every` where the cloud names it."""
    reconnect_delay: Annotated[float, Field(ge=0.1, le=30, description="seconds, 0.1 to 30; it doubles up to 30 s")] = (
        5.0
    )
    command_ttl: Annotated[
        float, Field(ge=1, le=86_400, description="seconds, 1 to 86400, for clouds that send no expires_at")
    ] = 300.0

    @model_validator(mode="before")
    @classmethod
    def _token_from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        named = values.get("device_token_file")
        if named is None:
            return values
        if values.get("device_token"):
            raise SettingsError("DEVICE_TOKEN and DEVICE_TOKEN_FILE are both set: remove one")
        return {**values, "device_token": read_secret_file("DEVICE_TOKEN_FILE", Path(named))}

    @property
    def token_in_the_clear(self) -> bool:
        """Whether the token leaves this machine unencrypted."""
        parts = urlsplit(self.api_url)
        local = (parts.hostname or "") in ("localhost", "::1") or (parts.hostname or "").startswith("127.")
        return self.device_token is not None and parts.scheme == "http" and not local

    @property
    def device_version(self) -> str:
        """What the cloud is told as `device_version`, e.g. 2.0.0."""
        return metadata.version("visant-connector")
