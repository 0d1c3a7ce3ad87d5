"""What a request handler reaches: the parts of this cloud, put together in wiring.py."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from fastapi import Request

from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.captures.storage import PictureStorage
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.stream_journal import StreamJournal
from visant_cloud.settings import CloudSettings
from visant_cloud.store.database import Database


@dataclass
class Cloud:
    """One per process."""

    settings: CloudSettings
    database: Database
    cloud_id: str
    hub: CommandHub
    pictures: PictureStorage
    journal: StreamJournal
    now: Callable[[], datetime]
    """The clock that every time of this cloud is told by."""
    warning: str | None = None
    """Something an operator should know, shown on the page."""
    sign_in_limits: RateLimits = field(default_factory=lambda: RateLimits(1 / 30, 10, time.monotonic))
    enrolment_limits: RateLimits = field(default_factory=lambda: RateLimits(1 / 6, 10, time.monotonic))
    delivery_limits: RateLimits | None = None
    """DELIVERY_RATE for pictures that come late, by device."""


def cloud_of(request: Request) -> Cloud:
    """The cloud that serves this request."""
    cloud: Cloud = request.app.state.cloud
    return cloud
