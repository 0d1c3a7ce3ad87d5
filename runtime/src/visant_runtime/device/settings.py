"""Who this device is, where its cloud is and what it shows there: the settings of every service that speaks to it."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from visant_contract.ids import DeviceId
from visant_runtime.settings import BaseUrl, Settings, Token, checked_redis_url, value_or_file


class DeviceSettings(Settings):
    """`device_token` holds the token whichever of the two keys named it; None: a cloud without tokens."""

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
        str, AfterValidator(checked_redis_url), Field(description="e.g. REDIS_URL=redis://127.0.0.1:6379/0")
    ] = "redis://127.0.0.1:6379/0"
    metered: Annotated[bool, Field(description="1 where each megabyte costs, or 0")] = False
    command_ttl: Annotated[
        float,
        Field(ge=1, le=86_400, description="seconds, 1 to 86400, that a command of a cloud without expires_at is good"),
    ] = 300.0

    @model_validator(mode="before")
    @classmethod
    def _one_token(cls, values: dict[str, Any]) -> dict[str, Any]:
        return value_or_file(values, "device_token", "device_token_file")

    @property
    def token_in_the_clear(self) -> bool:
        """Whether the token leaves this machine unencrypted."""
        parts = urlsplit(self.api_url)
        local = (parts.hostname or "") in ("localhost", "::1") or (parts.hostname or "").startswith("127.")
        return self.device_token is not None and parts.scheme == "http" and not local
