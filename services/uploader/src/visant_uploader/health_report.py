"""What telemetry says of this device, gathered; telemetry.py says when it is told."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from redis.exceptions import RedisError

from visant_contract.telemetry import CameraHealth, ClockHealth, HostFacts, NetworkUse, SpoolHealth, Telemetry
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat import Heartbeat
from visant_uploader.capture.camera_client import CameraClient, CameraTrouble, ConfigRefused
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue
from visant_uploader.counters import Counters
from visant_uploader.device import Device
from visant_uploader.host_facts import HostFactsFile
from visant_uploader.spool.figures import FillRate, disk_total
from visant_uploader.spool.store import Spool

TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
UPDATE_STATUS_MAX = 64 * 1024


@dataclass(frozen=True)
class Present:
    """The part of it that is told at once when it changes."""

    camera: CameraHealth
    reasons: tuple[str, ...]
    host: HostFacts | None

    @property
    def state(self) -> tuple[str, frozenset[str], bool]:
        """What counts as a change: the camera's state, the set of causes, and whether the host says anything.

        Not how a cause is worded: a text with a number in it changes all the time.
        """
        causes = frozenset(reason.partition(":")[0] for reason in self.reasons)
        said = self.host is not None and self.host.model_fields_set != {"age"}
        return self.camera.state, causes, said


class HealthReport:
    """Asks everybody. `metered`: METERED."""

    def __init__(
        self,
        camera: CameraClient,
        spool: Spool,
        watch: CloudWatch,
        device: Device,
        queue: CommandQueue,
        meter: NetworkMeter,
        host: HostFactsFile,
        *,
        metered: bool,
        update_status_file: Path | None,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._camera = camera
        self._spool = spool
        self._watch = watch
        self._device = device
        self._queue = queue
        self._meter = meter
        self._host = host
        self._metered = metered
        self._update_status_file = update_status_file
        self._counters = counters
        self._heartbeat = heartbeat
        self._rate = FillRate()
        self._camera_away_since: float | None = None
        """CLOCK_BOOTTIME since which the camera service does not answer."""

    async def present(self) -> Present:
        """What is cheap to know: a look each few seconds costs a request to the camera service."""
        camera = await self._camera_health()
        reasons = [f"{part}: {reason}" for part, reason in self._heartbeat.reasons().items()]
        if camera.state != "ok":
            reasons.append(f"camera: {camera.state}")
        return Present(camera, tuple(reasons), self._host.read(self._watch.moment()))

    async def gather(self, present: Present) -> Telemetry:
        """All that is known now."""
        moment = self._watch.moment()
        offset = self._watch.offset()
        ahead = None if offset is None else moment.wall.timestamp() - (offset.seconds + moment.boottime)
        spool = await asyncio.to_thread(self._spool_health)
        self._heartbeat.fact("spool", spool.model_dump())
        counters = self._counters.sums()
        self._heartbeat.fact("counters", counters)  # a plain cloud takes no telemetry
        return Telemetry(
            device_version=self._device.version,
            boot_id=moment.boot_id,
            uptime=moment.boottime,
            camera=present.camera,
            spool=spool,
            clock=ClockHealth(wall=moment.wall, synchronised=moment.synchronised, cloud_offset=ahead),
            disk_free_bytes=await asyncio.to_thread(self._spool.figures.free_bytes),
            disk_total_bytes=await asyncio.to_thread(disk_total, self._spool.folders.root),
            temperature=_temperature(),
            state="degraded" if present.reasons else "ok",
            reasons=list(present.reasons),
            versions={"uploader": self._device.version},
            update=self._update_status(),
            host=present.host,
            metered=self._metered,
            network=await self._network(),
            counters=counters,
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
            return self._camera_away(trouble.reason, trouble.detail)
        except ConfigRefused as refused:
            return self._camera_away("camera_unreachable", str(refused))
        try:
            health = CameraHealth.model_validate(found)
        except ValidationError:
            return self._camera_away("camera_unreachable", "its /state cannot be read")
        self._camera_away_since = None
        return health

    def _camera_away(self, state: str, detail: str) -> CameraHealth:
        """The camera service itself says nothing that can be used."""
        now = self._watch.moment().boottime
        if self._camera_away_since is None:
            self._camera_away_since = now
        return CameraHealth(state=state, detail=detail[:300], state_age=round(now - self._camera_away_since, 1))

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
