"""Tells the cloud how the device is: each interval, and soon after each confirmed stream."""

import asyncio
import json
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError
from redis.exceptions import RedisError

from visant_contract.errors import Retryable
from visant_contract.telemetry import CameraHealth, ClockHealth, NetworkUse, SpoolHealth, Telemetry
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_uploader.capture.camera_client import CameraClient, CameraTrouble, ConfigRefused
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.refusals import Refusals
from visant_uploader.delivery.retry_policy import Refused
from visant_uploader.device import Device
from visant_uploader.spool.figures import FillRate
from visant_uploader.spool.store import Spool

log = structlog.get_logger()

SOON = 2.0
"""Seconds after a confirmation: the replay goes first."""
TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
NO_SUCH_DOOR = frozenset({404, 405})
UPDATE_STATUS_MAX = 64 * 1024


class TelemetryLoop:
    """`interval`: seconds."""

    def __init__(
        self,
        cloud: CloudClient,
        camera: CameraClient,
        spool: Spool,
        watch: CloudWatch,
        device: Device,
        refusals: Refusals,
        queue: CommandQueue,
        meter: NetworkMeter,
        *,
        metered: bool,
        interval: float,
        update_status_file: Path | None,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._cloud = cloud
        self._camera = camera
        self._spool = spool
        self._watch = watch
        self._device = device
        self._refusals = refusals
        self._queue = queue
        self._meter = meter
        self._metered = metered
        self._interval = interval
        self._update_status_file = update_status_file
        self._counters = counters
        self._heartbeat = heartbeat
        self._rate = FillRate()
        self._bell = asyncio.Event()
        self._failed = False
        self._no_such_door = False
        """The plain cloud in force takes no telemetry."""

    def wake(self) -> None:
        """A stream was confirmed, or a witness is wanted that the cloud takes anything."""
        self._bell.set()

    async def run(self, stop: Stop) -> None:
        """Until stopped."""
        self._heartbeat.expect("telemetry", 90)
        due = self._watch.moment().boottime + SOON
        while not stop.is_set():
            self._heartbeat.beat("telemetry")
            now = self._watch.moment().boottime
            if self._bell.is_set():
                self._bell.clear()
                due = min(due, now + SOON)
            if now >= due:
                due = now + self._interval
                await self._tell()
            await stop.sleep(min(1.0, self._interval))

    async def _tell(self) -> None:
        telemetry = await self.gather()
        if telemetry.spool is not None:
            self._heartbeat.fact("spool", telemetry.spool.model_dump())
        self._heartbeat.fact("counters", telemetry.counters)  # a plain cloud takes no telemetry
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

    async def gather(self) -> Telemetry:
        """What is known now."""
        moment = self._watch.moment()
        offset = self._watch.offset()
        ahead = None if offset is None else moment.wall.timestamp() - (offset.seconds + moment.boottime)
        camera = await self._camera_health()
        reasons = [f"{part}: {reason}" for part, reason in self._heartbeat.reasons().items()]
        if camera.state != "ok":
            reasons.append(f"camera: {camera.state}")
        return Telemetry(
            device_version=self._device.version,
            boot_id=moment.boot_id,
            uptime=moment.boottime,
            camera=camera,
            spool=await asyncio.to_thread(self._spool_health),
            clock=ClockHealth(wall=moment.wall, synchronised=moment.synchronised, cloud_offset=ahead),
            disk_free_bytes=await asyncio.to_thread(self._spool.figures.free_bytes),
            temperature=_temperature(),
            state="degraded" if reasons else "ok",
            reasons=reasons,
            versions={"uploader": self._device.version},
            update=self._update_status(),
            metered=self._metered,
            network=await self._network(),
            counters=self._counters.sums(),
        )

    async def _network(self) -> dict[str, NetworkUse]:
        try:
            connector = await self._queue.network_of_the_connector()
        except RedisError:  # the capture loop tells about it
            connector = None
        found = {"connector": connector, "uploader": self._meter.used()}
        return {service: use for service, use in found.items() if use is not None}

    async def _camera_health(self) -> CameraHealth:
        try:
            found = await self._camera.state()
        except CameraTrouble as trouble:
            return CameraHealth(state=trouble.reason, detail=trouble.detail[:300])
        except ConfigRefused as refused:
            return CameraHealth(state="camera_unreachable", detail=str(refused)[:300])
        try:
            return CameraHealth.model_validate(found)
        except ValidationError:
            return CameraHealth(state="camera_unreachable", detail="its /state cannot be read")

    def _spool_health(self) -> SpoolHealth:
        """Blocking."""
        self._spool.restore_reserve()
        now = self._watch.moment().boottime
        captured = self._counters.sums().get("picture_bytes_captured", 0.0)
        self._rate.note(now, captured)
        rate = self._rate.bytes_a_day(now, captured)
        self._heartbeat.fact("bytes_a_day", rate)
        return self._spool.health(self._watch.destination(), rate)

    def _update_status(self) -> dict[str, Any] | None:
        file = self._update_status_file
        if file is None:
            return None
        try:
            with file.open("rb") as opened:
                found = json.loads(opened.read(UPDATE_STATUS_MAX))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def _temperature() -> float | None:
    try:
        return int(TEMPERATURE.read_text()) / 1000
    except (OSError, ValueError):
        return None
