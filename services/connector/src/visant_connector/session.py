"""What one stream of the cloud says, in its order, carried into Redis."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from visant_connector.admission import Admission, RedisRefused, Verdict
from visant_connector.cloud_stream import Received
from visant_connector.command_entries import Admittable, Scope, admittable
from visant_connector.known_cloud import KnownCloud
from visant_connector.metrics import Figures
from visant_connector.redis_retry import RedisRetry
from visant_connector.settings import ConnectorSettings
from visant_contract.command import Command, UnknownEvent, UpdateConfigCommand
from visant_contract.errors import BrokenMessage, Retryable
from visant_contract.sse import Connected, Ping
from visant_contract.stream import REPLAY_WITHIN, CloudSeen
from visant_runtime.clock import Clock, Moment
from visant_runtime.kill_point import kill_point

log = structlog.get_logger()

OFFSET_MOVED = 0.25
"""Seconds by which the cloud's clock must turn out different to be written down again: each write wears the card."""


class Session:
    """One stream. `ended` is set where what it says makes another stream necessary."""

    def __init__(
        self,
        settings: ConnectorSettings,
        admission: Admission,
        patience: RedisRetry,
        figures: Figures,
        clock: Clock,
        known: KnownCloud,
        close: Callable[[], None],
    ) -> None:
        """`close()` ends the stream while Redis refuses for long; what was read is still carried."""
        self._settings = settings
        self._admission = admission
        self._patience = patience
        self._figures = figures
        self._clock = clock
        self._boot_id = clock.boot_id()
        self._known = known
        self._close = close
        self._scope = Scope(settings.api_url, plain=True)
        self._seen: CloudSeen | None = None
        self._pinged_well = False
        self.confirmed_at: float | None = None
        """CLOCK_BOOTTIME of the cloud's `connected`."""
        self.ended: Retryable | None = None
        self.proven = True
        """False where this stream has shown nothing but gaps."""

    async def hear(self, received: Sequence[Received]) -> None:
        """Carries all of it, in order; returns when Redis has it (or the process stops)."""
        waiting: list[Admittable] = []
        for one in received:
            self._figures.event(one.boottime)
            match one.message:
                case Connected() as connected:
                    await self._admit(waiting)
                    await self._connected(connected, one)
                case Ping() as ping:
                    await self._admit(waiting)
                    await self._ping(ping, one)
                case UnknownEvent() as unknown:
                    self._figures.left_out(f"unknown event {unknown.event[:80]!r}")
                case command:
                    entry = self._entry(command, one)
                    if entry is not None:
                        waiting.append(entry)
        await self._admit(waiting)

    async def over(self) -> None:
        """The stream has ended. Where it was too short for a whole replay, the uploader must not count on one."""
        if self._seen is None or self._clock.boottime() - self._seen.connected_boottime >= REPLAY_WITHIN:
            return
        try:
            await self._admission.cloud_seen(self._seen.model_copy(update={"cut_short": True}))
        except RedisRefused as refusal:
            self._patience.refused(refusal)

    def _entry(self, command: Command | BrokenMessage, one: Received) -> Admittable | None:
        if isinstance(command, BrokenMessage):
            self._figures.left_out(str(command))
        entry = admittable(command, self._scope, self._moment(one), self._known.clock, self._settings.command_ttl)
        if entry is None and not isinstance(command, BrokenMessage):
            self._figures.left_out(f"unknown command {command.cmd[:80]!r} without a trigger_id")
        return entry

    def _moment(self, one: Received) -> Moment:
        wall = self._clock.wall() - timedelta(seconds=self._clock.boottime() - one.boottime)
        return Moment(self._boot_id, one.boottime, wall, self._clock.synchronised())

    async def _admit(self, waiting: list[Admittable]) -> None:
        """Empties `waiting` into Redis."""
        if not waiting:
            return
        kill_point("connector.received")

        async def offer() -> bool:
            verdicts = await self._admission.admit(waiting)
            refused: list[tuple[Admittable, RedisRefused]] = []
            for one, verdict in zip(waiting, verdicts, strict=True):
                if isinstance(verdict, RedisRefused):
                    refused.append((one, verdict))
                else:
                    self._say(one, verdict)
            waiting[:] = [one for one, _ in refused]
            if refused:
                raise refused[0][1]
            return True

        taken = await self._patience.until_taken(offer, waited=self._waited)
        kill_point("connector.admitted")
        if not taken:
            log.error("stopped while Redis refuses; the cloud has to send them again", commands=len(waiting))
            waiting.clear()

    def _say(self, one: Admittable, verdict: Verdict) -> None:
        self._figures.command(verdict)
        named = {"trigger_id": one.entry.trigger_id, "cmd": one.entry.cmd[:80]}
        if verdict is Verdict.ADMITTED:
            log.info("admitted", **named)
        elif verdict is Verdict.UNREMEMBERED:
            log.warning("admitted, but Redis could not remember it: a replay may queue it twice", **named)
        else:
            log.debug(verdict.value, **named)

    def _waited(self, seconds: float) -> None:
        """A cloud that replays need not believe for hours that this device listens. A plain one replays nothing: what
        lies unread between it and us must still be read."""
        if seconds > self._settings.stream_timeout and not self._scope.plain and self.ended is None:
            self.ended = Retryable("the stream was closed while Redis refused")
            self._close()

    async def _connected(self, connected: Connected, one: Received) -> None:
        self._scope = Scope(connected.cloud_id or self._settings.api_url, plain=connected.cloud_id is None)
        if self._known.is_now(self._scope):
            log.warning("the cloud is another one than before", cloud_id=self._scope.cloud_id)
        if connected.server_time is not None:
            self._known.clock.answered(connected.server_time.timestamp(), asked=one.asked, arrived=one.boottime)
        self.confirmed_at = one.boottime
        log.info("✓ Connection confirmed by server")
        if connected.duplicate:
            log.warning(
                "the cloud holds another stream of this device: the rest of a lost connection,"
                f" or a second device with DEVICE_ID={self._settings.device_id}"
            )
        if connected.device_id not in (None, self._settings.device_id):
            log.warning("the cloud confirms another device id", device_id=str(connected.device_id)[:80])
        self._figures.confirmed(one.boottime, cloud_id=self._scope.cloud_id, duplicate=connected.duplicate)
        self._seen = CloudSeen(
            api_url=self._settings.api_url,
            cloud_id=self._scope.cloud_id,
            plain=self._scope.plain,
            boot_id=self._boot_id,
            connected_boottime=one.boottime,
            clock_offset=self._known.clock.offset,
        )
        await self._tell_uploader(self._seen)
        await self._configure(connected.config, one)

    async def _tell_uploader(self, seen: CloudSeen) -> None:
        async def offer() -> bool:
            await self._admission.cloud_seen(seen)
            return True

        await self._patience.until_taken(offer, waited=self._waited)
        kill_point("connector.cloud_seen")

    async def _configure(self, config: dict[str, Any] | None, one: Received) -> None:
        """Settings that came with `connected` are admitted when they are others than this process admitted last."""
        text = json.dumps(config, sort_keys=True) if config else None
        if config is None or text is None or text == self._known.config:
            return
        entry = admittable(
            UpdateConfigCommand(config=config),
            self._scope,
            self._moment(one),
            self._known.clock,
            self._settings.command_ttl,
        )
        assert entry is not None
        await self._admit([entry])
        self._known.config = text

    async def _ping(self, ping: Ping, one: Received) -> None:
        lost_last = ping.last_id is not None and ping.last_id != one.last_id
        lost_earlier = ping.sent is not None and ping.sent != one.commands
        if lost_last or lost_earlier:
            self._figures.gap()
            self.proven = self._pinged_well
            self.ended = Retryable(_missing(ping, one))
        else:
            self._pinged_well = True
        if ping.server_time is not None:
            self._known.clock.heard(ping.server_time.timestamp(), one.boottime)
            if self._known.clock.strayed():
                self.ended = Retryable("the cloud's words come late, or its clock was set back")
        await self._look_after_redis()

    async def _look_after_redis(self) -> None:
        """A Redis that is away or has lost its memory is noticed while nothing happens."""
        try:
            remembers = await self._admission.prepare()
        except RedisRefused as refusal:
            self._patience.refused(refusal)
            return
        self._patience.taken()
        if self._seen is None:
            return
        if not remembers:
            self._known.config = None
            self.ended = Retryable("Redis has lost its memory: everything without an outcome is needed again")
            return
        offset = self._known.clock.offset
        if offset is not None and abs(offset - (self._seen.clock_offset or 0.0)) > OFFSET_MOVED:
            self._seen = self._seen.model_copy(update={"clock_offset": offset})
            await self._tell_uploader(self._seen)


def _missing(ping: Ping, one: Received) -> str:
    if ping.last_id != one.last_id:
        return f"a command is missing: the cloud sent {ping.last_id}, last seen {one.last_id}"
    return f"a command is missing: the cloud sent {ping.sent} on this stream, {one.commands} came"
