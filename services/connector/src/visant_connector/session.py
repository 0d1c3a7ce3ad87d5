"""One stream of the cloud, from its request to its end: what it says is carried into Redis, in its order."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog

from visant_connector.admission import Admission, RedisRefused
from visant_connector.cloud_memory import CloudMemory
from visant_connector.cloud_stream import CloudStream, Received
from visant_connector.command_batch import CommandBatch
from visant_connector.command_entries import Scope, admittable
from visant_connector.counters import LOOP, TICK, Counters
from visant_connector.event_buffer import BufferedItem, EventBuffer, StreamClosed, StreamOpened
from visant_connector.reconnect import STEADY, silence_limit
from visant_connector.redis_retry import RedisRetry
from visant_connector.session_state import SessionEnd, SessionEvent, SessionState, after
from visant_connector.settings import ConnectorSettings
from visant_contract.command import Command, UnknownEvent, UpdateConfigCommand
from visant_contract.errors import BrokenMessage, Misconfigured, Retryable
from visant_contract.sse import Connected, Ping
from visant_contract.stream import REPLAY_WITHIN, CloudSeen
from visant_runtime.clock import Clock, Moment
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.kill_point import kill_point
from visant_runtime.lifecycle import Stop

log = structlog.get_logger()

OFFSET_MOVED = 0.25
"""Seconds by which the cloud's clock must turn out different to be written down again: each write wears the card."""
LOOK_EVERY = 20.0
"""Seconds at most between two looks after Redis while a stream is confirmed, however seldom its cloud pings."""


class Session:
    """One stream; `run` it once."""

    def __init__(
        self,
        settings: ConnectorSettings,
        stream: CloudStream,
        admission: Admission,
        redis_retry: RedisRetry,
        counters: Counters,
        heart: Heartbeat,
        clock: Clock,
        memory: CloudMemory,
        meter: NetworkMeter,
    ) -> None:
        self._meter = meter
        self._settings = settings
        self._admission = admission
        self._redis_retry = redis_retry
        self._counters = counters
        self._heart = heart
        self._clock = clock
        self._boot_id = clock.boot_id()
        self._memory = memory
        self._buffer = EventBuffer(stream)
        self._batch = CommandBatch(admission, redis_retry, counters)
        self._state = SessionState.CONNECTING
        self._reason: Retryable | None = None
        self._scope: Scope | None = None
        """Who speaks; None: the stream has not said so yet, and nothing of it may be admitted."""
        self._opened = 0.0
        self._seen: CloudSeen | None = None
        self._looked = 0.0
        """CLOCK_BOOTTIME of the last look after Redis."""

    async def run(self, stop: Stop) -> SessionEnd:
        """Until the stream ends, is left, or the stop; Redis has what was drained, or refuses it at the stop."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._buffer.start(tasks)
                error = await self._follow(stop)
                self._buffer.close()
            await self._tell_of_a_replay_cut_short()
        finally:
            self._counters.lost()
        end = SessionEnd(error, self._is_steady())
        self._advance(SessionEvent.OVER)
        return end

    async def _follow(self, stop: Stop) -> Retryable | Misconfigured | None:
        while True:
            if stop.is_set():
                self._advance(SessionEvent.STOPPED)
            leaving = self._state.leaving
            if leaving:
                self._buffer.close()
            items = await self._buffer.drain(stop, TICK)
            self._heart.beat(LOOP)
            self._counters.tick(self._clock.boottime())
            closed = await self._carry(items)
            if self._seen is not None and self._clock.boottime() - self._looked > LOOK_EVERY:
                await self._look_after_redis()
            if self._is_nameless_too_long():
                self._leave(SessionEvent.UNFIT, "the cloud does not say `connected`: it is asked again")
            if stop.is_set():
                return None
            if closed is not None:
                return self._reason or closed.error
            if leaving:
                return self._reason

    async def _carry(self, items: Sequence[BufferedItem]) -> StreamClosed | None:
        """Carries `items` into Redis, in order; returns the end of the stream where it is among them."""
        closed = None
        for item in items:
            match item:
                case StreamOpened():
                    self._advance(SessionEvent.ANSWERED)
                    self._opened = self._clock.boottime()
                    log.info("✓ Connected to command stream")
                case Received():
                    await self._hear(item)
                case StreamClosed():
                    closed = item
        await self._batch.admit(self._held_up)
        return closed

    async def _hear(self, one: Received) -> None:
        self._counters.event(one.boottime)
        match one.message:
            case Connected() as connected:
                await self._batch.admit(self._held_up)
                await self._connected(connected, one)
            case Ping() as ping:
                await self._batch.admit(self._held_up)
                await self._ping(ping, one)
            case UnknownEvent() as unknown:
                self._counters.left_out(f"unknown event {unknown.event[:80]!r}")
            case BrokenMessage() as broken:
                self._counters.left_out(str(broken))
                self._add(broken, one)
            case command:
                if not self._add(command, one):
                    self._counters.left_out(f"unknown command {command.cmd[:80]!r} without a trigger_id")

    def _add(self, command: Command | BrokenMessage, one: Received) -> bool:
        """Puts it into the batch; False: it names no trigger and cannot be followed.

        Before `connected` nobody knows whose command it is. Then it is left to the next stream: a cloud that replays
        says it again, and one that does not says `connected` first.
        """
        if self._scope is None:
            if not self._state.leaving:
                broken = isinstance(command, BrokenMessage)
                what = f"a message that cannot be read ({command})" if broken else "a command"
                self._leave(SessionEvent.UNFIT, f"{what} came before `connected`: the cloud is asked again")
            return True
        wall = self._clock.wall() - timedelta(seconds=self._clock.boottime() - one.boottime)
        moment = Moment(self._boot_id, one.boottime, wall, self._clock.synchronised())
        entry = admittable(command, self._scope, moment, self._memory.clock, self._settings.command_ttl)
        if entry is not None:
            self._batch.add(entry)
        return entry is not None

    async def _connected(self, connected: Connected, one: Received) -> None:
        for unread in connected.unread:
            self._counters.left_out(f"of `connected`: {unread}")
        scope = Scope(connected.cloud_id or self._settings.api_url, plain=connected.cloud_id is None)
        if not self._is_acceptable(scope):
            return
        self._scope = scope
        if self._memory.is_now(self._scope):
            log.warning("the cloud is another one than before", cloud_id=self._scope.cloud_id)
        if connected.server_time is not None:
            self._memory.clock.answered(connected.server_time.timestamp(), asked=one.asked, arrived=one.boottime)
        self._advance(SessionEvent.CONNECTED)
        log.info("✓ Connection confirmed by server")
        if connected.duplicate:
            log.warning(
                "the cloud holds another stream of this device: the rest of a lost connection,"
                f" or a second device with DEVICE_ID={self._settings.device_id}"
            )
        if connected.device_id not in (None, self._settings.device_id):
            log.warning("the cloud confirms another device id", device_id=str(connected.device_id)[:80])
        self._counters.confirmed(
            one.boottime,
            cloud_id=self._scope.cloud_id,
            duplicate=connected.duplicate,
            silent_after=silence_limit(self._settings.stream_timeout, connected.ping_every),
        )
        self._seen = CloudSeen(
            api_url=self._settings.api_url,
            cloud_id=self._scope.cloud_id,
            plain=self._scope.plain,
            boot_id=self._boot_id,
            connected_boottime=one.boottime,
            clock_offset=self._memory.clock.offset,
            succeeds=connected.succeeds,
            accepts=connected.accepts,
        )
        await self._tell_uploader(self._seen)
        await self._configure(connected.config, one)
        self._heart.degraded("cloud", None)

    def _is_acceptable(self, scope: Scope) -> bool:
        """Whether the stream may go on as one of `scope`; it is left where not."""
        if self._scope is None:
            if self._state.leaving:
                return False
            if self._memory.believes(scope):
                return True
            why = "a `connected` without the cloud_id that this cloud named before"
        else:
            if self._scope == scope:
                return True
            why = f"the cloud calls itself {scope.cloud_id} in the middle of a stream of {self._scope.cloud_id}"
            self._scope = None
        self._leave(SessionEvent.UNFIT, f"{why}: it is asked again")
        return False

    def _is_nameless_too_long(self) -> bool:
        if self._state is not SessionState.OPEN:
            return False
        return self._clock.boottime() - self._opened > self._settings.stream_timeout

    async def _configure(self, config: dict[str, Any] | None, one: Received) -> None:
        """Settings that came with `connected` are admitted when they are others than this process admitted last."""
        if config and self._memory.is_new(config):
            self._add(UpdateConfigCommand(config=config), one)
            await self._batch.admit(self._held_up)
            self._memory.config_admitted(config)

    async def _ping(self, ping: Ping, one: Received) -> None:
        for unread in ping.unread:
            self._counters.left_out(f"of a ping: {unread}")
        missing = _missing(ping, one)
        if missing is None:
            self._advance(SessionEvent.PING_AGREED)
        else:
            self._counters.gap()
            self._leave(SessionEvent.GAP, missing)
        if ping.server_time is not None:
            self._memory.clock.heard(ping.server_time.timestamp(), one.boottime)
            if self._memory.clock.strayed():
                self._leave(SessionEvent.UNFIT, "the cloud's words come late, or its clock was set back")
        await self._look_after_redis()

    async def _look_after_redis(self) -> None:
        """A Redis that is away or has lost its memory is noticed while nothing happens."""
        self._looked = self._clock.boottime()
        try:
            remembers = await self._admission.prepare()
            used = self._meter.used()
            if used is not None:
                await self._admission.network_used(used)
        except RedisRefused as refusal:
            self._redis_retry.refused(refusal)
            return
        self._redis_retry.accepted()
        if self._seen is None:
            return
        if not remembers:
            self._memory.forget_config()
            lost = "Redis has lost its memory: everything without an outcome is needed again"
            self._leave(SessionEvent.UNFIT, lost)
            return
        offset = self._memory.clock.offset
        if offset is not None and abs(offset - (self._seen.clock_offset or 0.0)) > OFFSET_MOVED:
            self._seen = self._seen.model_copy(update={"clock_offset": offset})
            await self._tell_uploader(self._seen)

    async def _tell_uploader(self, seen: CloudSeen) -> None:
        await self._redis_retry.until_accepted(lambda: self._admission.cloud_seen(seen), waited=self._held_up)
        kill_point("connector.cloud_seen")

    async def _tell_of_a_replay_cut_short(self) -> None:
        """Where the stream was too short for a whole replay, the uploader must not count on one."""
        if self._seen is None or self._clock.boottime() - self._seen.connected_boottime >= REPLAY_WITHIN:
            return
        try:
            await self._admission.cloud_seen(self._seen.model_copy(update={"cut_short": True}))
        except RedisRefused as refusal:
            self._redis_retry.refused(refusal)

    def _held_up(self, seconds: float) -> None:
        """A cloud that replays need not believe for hours that this device listens. A plain one replays nothing: what
        lies unread between it and us must still be read."""
        if seconds > self._settings.stream_timeout and self._replays() and not self._state.leaving:
            self._leave(SessionEvent.UNFIT, "the stream was closed while Redis refused")
            self._buffer.close()

    def _replays(self) -> bool:
        return self._scope is not None and not self._scope.plain

    def _leave(self, event: SessionEvent, why: str) -> None:
        self._advance(event)
        self._reason = Retryable(why)

    def _advance(self, event: SessionEvent) -> None:
        self._state = after(self._state, event)

    def _is_steady(self) -> bool:
        if self._seen is None or self._state is SessionState.LEAVING_UNPROVEN:
            return False
        return self._clock.boottime() - self._seen.connected_boottime >= STEADY


def _missing(ping: Ping, one: Received) -> str | None:
    """What the ping says was sent and has not come; None: nothing."""
    if ping.last_id is not None and ping.last_id != one.last_id:
        return f"a command is missing: the cloud sent {ping.last_id}, last seen {one.last_id}"
    if ping.sent is not None and ping.sent != one.commands:
        return f"a command is missing: the cloud sent {ping.sent} on this stream, {one.commands} came"
    return None
