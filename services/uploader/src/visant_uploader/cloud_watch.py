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
from visant_uploader.spool.known_cloud import KnownCloud, fingerprint, plain_token, recall, remember
from visant_uploader.spool.layout import Destination
from visant_uploader.timestamps import Offset

log = structlog.get_logger()

LOOK_EVERY = 0.5
"""Seconds; one GET on the device itself."""


class CloudWatch:
    """`on_confirmed` is called after each newly confirmed stream."""

    def __init__(
        self, queue: CommandQueue, device: Device, file: Path, clock: Clock, *, token: str | None = None
    ) -> None:
        """`token`: what the device shows to its cloud."""
        self._token = fingerprint(device.api_url, token)
        self._queue = queue
        self._device = device
        self._file = file
        self._clock = clock
        self._boot_id = clock.boot_id()
        self._looking = asyncio.Lock()
        self._not_before = 0.0
        """CLOCK_BOOTTIME before which no confirmation of a plain cloud counts."""
        self.on_confirmed: list[Callable[[], None]] = []
        self.cloud: KnownCloud | None = None
        self.predecessor: Destination | None = None
        """The plain cloud of this API_URL, where the cloud in force takes over what waits for it."""
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
        """Reads the file of the last run. A plain cloud that was shown another token counts once it is confirmed anew:
        whoever answers at this address by now cannot be told from it.
        """
        known = recall(self._file, self._device.api_url)
        if known is not None and known.plain and self._is_foreign_token():
            self._not_before = self._clock.boottime()
        else:
            self.cloud = known

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Looks until stopped."""
        heartbeat.expect("cloud_watch", 60)
        while not stop.is_set():
            await self.look()
            heartbeat.beat("cloud_watch")
            await stop.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Now."""
        async with self._looking:
            try:
                seen = await self._queue.cloud()
            except RedisError:  # the capture loop tells about it
                return
            if seen is None or seen.api_url != self._device.api_url or seen == self.seen:
                return
            confirmed_now = seen.boot_id == self._boot_id and seen.connected_boottime >= self._not_before
            if seen.plain and self._not_before and not confirmed_now:
                return
            await self._notice(seen)

    async def _notice(self, seen: CloudSeen) -> None:
        before, self.seen = self.seen, seen
        known = KnownCloud(seen.cloud_id, seen.plain)
        await self._succeed(seen)
        if known != self.cloud:
            log.info("delivering to this cloud", cloud_id=seen.cloud_id, plain=seen.plain)
            self.cloud = known
            try:
                await asyncio.to_thread(remember, self._file, self._device.api_url, known, self._token)
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

    async def _succeed(self, seen: CloudSeen) -> None:
        """A token that the plain cloud never saw may belong to somebody else's cloud."""
        if seen.plain or not seen.succeeds:
            self.predecessor = None
            return
        if await asyncio.to_thread(self._is_foreign_token):
            log.warning(
                "this cloud offers to take over what waits for the plain one, but DEVICE_TOKEN is another "
                "one than was shown there: `visant-uploader spool requeue all --here` releases it",
                cloud_id=seen.cloud_id,
            )
            self.predecessor = None
            return
        self.predecessor = self._device.destination(self._device.api_url)

    def _is_foreign_token(self) -> bool:
        """The plain cloud was shown another token than the present one. Blocking."""
        return plain_token(self._file, self._device.api_url) not in (None, self._token)
