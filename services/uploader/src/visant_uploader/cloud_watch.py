"""Which cloud is ours just now, and when was its stream confirmed?

The connector says so in Redis. The last answer is also kept in a small file, so that a lost Redis does not stop
the delivery of what is already on the disk.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from visant_contract.stream import CloudSeen
from visant_runtime.clock import Clock, Moment
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_uploader.command_queue import CommandQueue
from visant_uploader.device import Device
from visant_uploader.spool.known_cloud import KnownCloud, recall, remember
from visant_uploader.spool.layout import Destination
from visant_uploader.timestamps import Offset

log = structlog.get_logger()

LOOK_EVERY = 0.5
"""Seconds; one GET on the device itself."""


class CloudWatch:
    """`on_confirmed` is called after each newly confirmed stream."""

    def __init__(self, queue: CommandQueue, device: Device, file: Path, clock: Clock) -> None:
        self._queue = queue
        self._device = device
        self._file = file
        self._clock = clock
        self._boot_id = clock.boot_id()
        self.on_confirmed: list[Callable[[], None]] = []
        self.cloud: KnownCloud | None = None
        self.seen: CloudSeen | None = None
        self.latest_connected: float | None = None
        """CLOCK_BOOTTIME of the newest confirmation of this boot; None where that stream ended at once."""
        self.first_connected: float | None = None

    def destination(self) -> Destination | None:
        """Whom outcomes may go to now; None: no cloud was ever confirmed at this API_URL."""
        return None if self.cloud is None else self._device.destination(self.cloud.cloud_id)

    def moment(self) -> Moment:
        """The clocks, now."""
        clock = self._clock
        return Moment(self._boot_id, clock.boottime(), clock.wall(), clock.synchronised())

    def offset(self) -> Offset | None:
        """The cloud's clock, where it is known in this boot."""
        seen = self.seen
        if seen is None or seen.clock_offset is None or seen.boot_id != self._boot_id:
            return None
        return Offset(seen.boot_id, seen.clock_offset)

    def accepts(self) -> tuple[str, ...]:
        """Media types in which the cloud in force takes captures beside JSON, as its last stream said."""
        seen = self.seen
        return () if seen is None or self.cloud is None or seen.cloud_id != self.cloud.cloud_id else seen.accepts

    def recall(self) -> None:
        """Reads the file of the last run."""
        self.cloud = recall(self._file, self._device.api_url)

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Looks until stopped."""
        heartbeat.expect("cloud_watch", 60)
        while not stop.is_set():
            try:
                seen = await self._queue.cloud()
            except RedisError:  # the capture loop tells about it
                seen = None
            if seen is not None and seen.api_url == self._device.api_url and seen != self.seen:
                await self._notice(seen)
            heartbeat.beat("cloud_watch")
            await stop.sleep(LOOK_EVERY)

    async def _notice(self, seen: CloudSeen) -> None:
        before, self.seen = self.seen, seen
        known = KnownCloud(seen.cloud_id, seen.plain)
        if known != self.cloud:
            log.info("delivering to this cloud", cloud_id=seen.cloud_id, plain=seen.plain)
            self.cloud = known
            try:
                await asyncio.to_thread(remember, self._file, self._device.api_url, known)
            except OSError as error:
                log.warning("the cloud's id could not be kept on disk", error=error.strerror)
        if seen.boot_id != self._boot_id:
            return
        confirmed = before is None or before.connected_boottime != seen.connected_boottime
        self.latest_connected = None if seen.cut_short else seen.connected_boottime
        if self.first_connected is None:
            self.first_connected = seen.connected_boottime
        if confirmed:
            for tell in self.on_confirmed:
                tell()
