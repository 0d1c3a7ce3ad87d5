"""What a request handler reaches: the parts of this cloud, put together in wiring.py."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fastapi import Request

from visant_cloud import metrics
from visant_cloud.access.later import Later
from visant_cloud.access.lookups import DeviceLookups
from visant_cloud.access.password_checks import PasswordChecks
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.access.shares import Shares
from visant_cloud.alerts.certificate import Validity
from visant_cloud.captures.decoding.pool import DecoderPool
from visant_cloud.captures.storage import PictureStorage
from visant_cloud.channels.apprise import AppriseSender
from visant_cloud.commands.arrivals import Arrivals
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.loader import TriggerLoader
from visant_cloud.commands.pings import PingClock
from visant_cloud.commands.scheduler import TriggerScheduler
from visant_cloud.commands.stream_journal import StreamJournal
from visant_cloud.database.engine import Database
from visant_cloud.events.log import EventLog
from visant_cloud.metrics import Exchange
from visant_cloud.readiness import Readiness
from visant_cloud.settings import CloudSettings
from visant_cloud.store import organisations
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_runtime.heartbeat import Heartbeat


@dataclass
class Cloud:
    """One per process."""

    settings: CloudSettings
    database: Database
    cloud_id: str
    """As the devices of the default organisation know it; `id_for` says the others'."""
    hub: CommandHub
    pictures: PictureStorage
    journal: StreamJournal
    now: Callable[[], datetime]
    """The clock that every time of this cloud is told by."""
    warning: str | None = None
    """Something an operator should know, shown on the page."""
    password_checks: PasswordChecks = field(default_factory=PasswordChecks)
    enrolment_limits: RateLimits = field(default_factory=lambda: RateLimits(1 / 6, 10, time.monotonic))
    """Codes that were wrong, by address."""
    telemetry_limits: RateLimits = field(default_factory=lambda: RateLimits(1, 200, time.monotonic))
    """By device; ours tells it each 300 s (5 s at least), after a stream, and each 10 s where it wants a witness."""
    outcome_limits: RateLimits = field(default_factory=lambda: RateLimits(20, 1000, time.monotonic))
    """By device; after days offline it may have as many as its spool holds."""
    unasked_limits: RateLimits = field(default_factory=lambda: RateLimits(1 / 10, 1000, time.monotonic))
    """By device: outcomes of triggers that this cloud does not know. Each makes a row: after it was put back to an
    older backup there may be as many as it had made since, but nobody invents them without end."""
    shares: Shares = field(init=False)
    delivery_limits: RateLimits | None = None
    """DELIVERY_RATE for pictures that come late, by device."""
    heartbeat: Heartbeat | None = None
    """Whose loops say whether there is progress."""
    scheduler: TriggerScheduler | None = None
    exchange: Exchange = field(default_factory=lambda: Exchange({1: Path("none")}, 1))
    """Between the workers of one supervisor, for /metrics."""
    apprise: AppriseSender = field(default_factory=AppriseSender)
    certificate: Validity | None = None
    """Of what this cloud is reached by, as far as it was seen."""
    readiness: Readiness = field(init=False)
    decoders: DecoderPool = field(init=False)
    loader: TriggerLoader = field(init=False)
    pings: PingClock = field(init=False)
    arrivals: Arrivals = field(default_factory=Arrivals)
    lookups: DeviceLookups = field(init=False)
    events: EventLog = field(init=False)
    later: Later = field(init=False)
    _cloud_ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.decoders = DecoderPool(self.settings.max_capture_bytes)
        self.loader = TriggerLoader(self.database, self.hub, self.now)
        self.pings = PingClock(self.now)
        self.lookups = DeviceLookups(self.database)
        self.events = EventLog(self.database)
        self.later = Later(self.database, self.now)
        self.shares = Shares(self.settings.max_capture_bytes * 4 // 3 + (256 << 10))
        self.readiness = Readiness(self.database, self.pictures, self.loader, self.heartbeat)

    def counted(self) -> metrics.Families:
        """What this process counts and measures, as of now."""
        return metrics.of_process(
            streams=sum(self.hub.connected_here().values()),
            loader_lag=self.loader.lag(),
            scheduler_lag=0.0 if self.scheduler is None else self.scheduler.lag(),
            connections=self.database.connections_in_use(),
        )

    async def id_for(self, organisation_id: str) -> str:
        """The cloud_id that devices of this organisation are told; it never changes."""
        if organisation_id == DEFAULT_ORGANISATION:
            return self.cloud_id
        if organisation_id not in self._cloud_ids:
            self._cloud_ids[organisation_id] = await organisations.cloud_id_of(self.database, organisation_id)
        return self._cloud_ids[organisation_id]

    async def is_called(self, cloud_id: str) -> bool:
        """Whether devices of some organisation know this cloud by this id."""
        if cloud_id == self.cloud_id or cloud_id in self._cloud_ids.values():
            return True
        async with self.database.reading() as connection:
            return await organisations.has_cloud_id(connection, cloud_id)


def cloud_of(request: Request) -> Cloud:
    """The cloud that serves this request."""
    cloud: Cloud = request.app.state.cloud
    return cloud
