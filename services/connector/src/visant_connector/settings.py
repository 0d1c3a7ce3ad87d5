"""What the connector is told by its environment."""

from typing import Annotated

from pydantic import Field

from visant_runtime.device.settings import DeviceSettings
from visant_runtime.version import release_version

METERED_PING_EVERY = 180.0
"""Seconds. With TLS a ping and its acknowledgement are some 230 bytes: 3.3 MB a month, where 20 s are 30 MB. A dead
stream is noticed after two of them."""


class ConnectorSettings(DeviceSettings):
    """Frozen; every duration is in seconds."""

    stream_timeout: Annotated[
        float, Field(ge=1, le=3600, description="seconds of silence, 1 to 3600; above the cloud's ping interval")
    ] = 70.0
    """A stream without an event for so long is dead; twice `ping_every` where the cloud names it."""
    reconnect_delay: Annotated[float, Field(ge=0.1, le=30, description="seconds, 0.1 to 30; it doubles up to 30 s")] = (
        5.0
    )

    @property
    def ping_every(self) -> float | None:
        """Seconds between two pings that the cloud is asked for; None: as it likes."""
        return METERED_PING_EVERY if self.metered else None

    @property
    def device_version(self) -> str:
        """What the cloud is told as `device_version`, e.g. 2.0.0."""
        return release_version("visant-connector")
