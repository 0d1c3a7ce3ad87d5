"""The events that a cloud sends beside commands: `connected` and `ping`.

A plain (v2.0) cloud sends only `event` and `device_id`; every other field is an extension and optional.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

PING_EVERY_PLAIN = 60.0
"""Seconds of silence after which a plain cloud pings."""

MAX_EVENT_BYTES = 1 << 20
"""A longer event is not read into memory; no command of ours comes near (the longest holds a config)."""


class Connected(BaseModel):
    """First event of every stream."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: Literal["connected"] = "connected"
    device_id: str | None = None
    cloud_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Random, born with the cloud's database: a reset database is another cloud."""
    server_time: AwareDatetime | None = None
    ping_every: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Seconds between pings."""
    duplicate: bool = False
    """Another stream already holds this device id."""
    config: dict[str, Any] | None = None


class Ping(BaseModel):
    """Keeps the stream alive and shows gaps."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: Literal["ping"] = "ping"
    server_time: AwareDatetime | None = None
    last_id: str | None = None
    """SSE id of the last command sent on this stream; a device that has not seen it reconnects."""
    sent: int | None = None
    """Commands sent on this stream so far: `last_id` alone hides a gap once a later command has come through."""
