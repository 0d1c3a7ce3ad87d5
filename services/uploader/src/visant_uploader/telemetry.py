"""Tells the cloud how the device is: each interval, soon after each confirmed stream, and when its state changed."""

import asyncio

import structlog

from visant_contract.errors import Retryable
from visant_contract.outcome import Reason
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_uploader.change_pace import ChangePace
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.refusals import Refusals
from visant_uploader.delivery.retry_policy import Refused
from visant_uploader.health_report import HealthReport

log = structlog.get_logger()

SOON = 2.0
"""Seconds after a confirmation: the replay goes first."""
LOOK_EVERY = 3.0
"""Seconds between two looks whether the state has changed: with a camera service that does not answer (5 s) and a
second for the loop, a change is on its way within 10 s."""
NO_SUCH_DOOR = frozenset({404, 405})


class TelemetryLoop:
    """`interval`: seconds between regular reports. `pace`: of those about a changed state."""

    def __init__(
        self,
        cloud: CloudClient,
        report: HealthReport,
        watch: CloudWatch,
        refusals: Refusals,
        pace: ChangePace,
        *,
        interval: float,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._cloud = cloud
        self._report = report
        self._watch = watch
        self._refusals = refusals
        self._pace = pace
        self._interval = interval
        self._counters = counters
        self._heartbeat = heartbeat
        self._bell = asyncio.Event()
        self._failed = False
        self._no_such_door = False
        """The plain cloud in force takes no telemetry."""
        self._told: object = None
        """The state that a cloud has taken last; None: none yet."""

    def wake(self) -> None:
        """A stream was confirmed, or a witness is wanted that the cloud takes anything."""
        self._bell.set()

    async def run(self, stop: Stop) -> None:
        """Until stopped."""
        self._heartbeat.expect("telemetry", 90)
        due = self._watch.moment().boottime + SOON
        look = due
        while not stop.is_set():
            self._heartbeat.beat("telemetry")
            now = self._watch.moment().boottime
            if self._bell.is_set():
                self._bell.clear()
                due = min(due, now + SOON)
            if now >= look:
                look = now + LOOK_EVERY
                if await self._has_changed(now):
                    due = now
            if now >= due:
                due = now + self._interval
                await self._tell()
            await stop.sleep(min(1.0, self._interval))

    async def _has_changed(self, now: float) -> bool:
        """The state is another one than was told, and this may be said now. `now`: CLOCK_BOOTTIME."""
        cloud = self._watch.cloud
        # a plain cloud that takes no telemetry, or refuses it, is asked no more often than before
        if cloud is None or self._told is None or (cloud.plain and (self._no_such_door or self._failed)):
            return False
        present = await self._report.present()
        if present.camera.state == Reason.CAMERA_STARTING:  # what it becomes is known in a moment, and worth telling
            return False
        return present.state != self._told and self._pace.take(now)

    async def _tell(self) -> None:
        present = await self._report.present()
        telemetry = await self._report.gather(present)
        cloud = self._watch.cloud
        if cloud is None:
            return
        self._no_such_door = self._no_such_door and cloud.plain
        if self._no_such_door:
            return
        try:
            await self._cloud.send_telemetry(telemetry, plain=cloud.plain)
        except (Retryable, Refused) as failure:  # the next one says it all again
            if cloud.plain and isinstance(failure, Refused) and failure.status in NO_SUCH_DOOR:
                self._no_such_door = True
                log.info("this cloud takes no telemetry; none is sent until a stream confirms one that does")
                return
            self._counters.add("telemetry_failed")
            if not self._failed:
                log.warning("telemetry was not taken", detail=str(failure)[:300])
            self._failed = True
        else:
            self._refusals.accepted(self._watch.moment().boottime)
            self._counters.add("telemetry_sent")
            self._failed = False
            self._told = present.state
