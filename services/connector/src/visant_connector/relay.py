"""The connector's one loop: connect to the cloud, carry what it says into Redis, connect again."""

import asyncio
from random import Random

import structlog

from visant_connector.admission import Admission
from visant_connector.cloud_memory import CloudMemory
from visant_connector.cloud_stream import CloudStream, Received
from visant_connector.event_buffer import EventBuffer, StreamClosed, StreamOpened
from visant_connector.metrics import Metrics
from visant_connector.reconnect import STEADY, Reconnect, refused_wait
from visant_connector.redis_retry import RedisRetry
from visant_connector.session import Session
from visant_connector.settings import ConnectorSettings
from visant_contract.errors import Misconfigured, Retryable
from visant_runtime.clock import Clock
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()

LOOP = "stream"
BEAT_WITHIN = 30.0
"""Seconds; no single wait of the loop is longer than a few."""
_TICK = 5.0  # seconds between two beats while nothing comes


class Relay:
    """Wired in `__main__`; `run` returns at the stop."""

    def __init__(
        self,
        settings: ConnectorSettings,
        stream: CloudStream,
        admission: Admission,
        heart: Heartbeat,
        metrics: Metrics,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._settings = settings
        self._stream = stream
        self._admission = admission
        self._heart = heart
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._memory = CloudMemory()
        self._repeats = LogThrottle()
        self._policy = Reconnect(settings.reconnect_delay)

    async def run(self, stop: Stop) -> None:
        """Until the stop. Does not ask the cloud for commands while Redis takes none."""
        self._heart.expect(LOOP, BEAT_WITHIN)
        self._heart.degraded("cloud", "not connected yet")
        redis_retry = RedisRetry(stop, self._heart, LOOP, self._clock, self._rng)
        await self._check_redis(redis_retry)
        aloud = True
        while not stop.is_set():
            if await redis_retry.until_accepted(self._admission.prepare) is None:
                break
            if aloud:
                log.info("Connecting to command stream...")
            buffer = EventBuffer(self._stream)
            session = Session(
                self._settings, self._admission, redis_retry, self._metrics, self._clock, self._memory, buffer.close
            )
            error = await self._one_stream(buffer, session, stop)
            if error is not None:
                aloud = await self._wait(error, self._steady(session), stop)
        self._heart.done(LOOP)

    async def _check_redis(self, redis_retry: RedisRetry) -> None:
        for weakness in await redis_retry.until_accepted(self._admission.weaknesses) or []:
            log.warning(weakness)

    async def _one_stream(self, buffer: EventBuffer, session: Session, stop: Stop) -> Retryable | Misconfigured | None:
        """Follows one stream to its end and says why it ended; None: the process stops."""
        try:
            async with asyncio.TaskGroup() as tasks:
                buffer.start(tasks)
                error = await self._follow(buffer, session, stop)
                buffer.close()
            await session.over()
        finally:
            self._metrics.lost()
        return error

    async def _follow(self, buffer: EventBuffer, session: Session, stop: Stop) -> Retryable | Misconfigured | None:
        while True:
            closing = session.ended is not None or stop.is_set()
            if closing:
                buffer.close()
            items = await buffer.drain(stop, _TICK)
            self._heart.beat(LOOP)
            self._metrics.tick(self._clock.boottime())
            if any(isinstance(item, StreamOpened) for item in items):
                log.info("✓ Connected to command stream")
            await session.hear([item for item in items if isinstance(item, Received)])
            if session.confirmed_at is not None:
                self._heart.degraded("cloud", None)
            if stop.is_set():
                return None
            for item in items:
                if isinstance(item, StreamClosed):
                    return session.ended or item.error
            if closing:
                return session.ended

    def _steady(self, session: Session) -> bool:
        return (
            session.confirmed_at is not None
            and session.proven
            and self._clock.boottime() - session.confirmed_at >= STEADY
        )

    async def _wait(self, error: Retryable | Misconfigured, steady: bool, stop: Stop) -> bool:
        """Sleeps as the policy says; returns whether the failure was worth a line."""
        if steady:
            self._repeats.over()
            self._policy = self._policy.steady()
        if isinstance(error, Misconfigured):
            text, wait = error.detail, refused_wait(self._rng)
        else:
            text, wait = error.reason, self._policy.wait(self._rng, retry_after=error.retry_after)
            self._policy = self._policy.failed()
        self._metrics.reconnect()
        self._heart.degraded("cloud", text)
        times = self._repeats.again(text)
        if times is not None:
            log.warning(text, times=times, next_attempt_seconds=round(wait, 1))
        until = self._clock.boottime() + wait
        while (left := until - self._clock.boottime()) > 0:
            if await stop.sleep(min(left, _TICK)):
                break
            self._heart.beat(LOOP)
        return times is not None
