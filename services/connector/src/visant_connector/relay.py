"""The reconnect loop: one session after another, and between them as long a wait as the policy says."""

from random import Random

import structlog

from visant_connector.admission import Admission
from visant_connector.cloud_memory import CloudMemory
from visant_connector.cloud_stream import CloudStream
from visant_connector.command_entries import Scope
from visant_connector.counters import BEAT_WITHIN, LOOP, TICK, Counters
from visant_connector.reconnect import Reconnect, refused_wait
from visant_connector.redis_retry import RedisRetry
from visant_connector.session import Session
from visant_connector.settings import ConnectorSettings
from visant_contract.errors import Misconfigured, Retryable
from visant_runtime.clock import Clock
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()


class Relay:
    """One per process; `run` returns at the stop."""

    def __init__(
        self,
        settings: ConnectorSettings,
        stream: CloudStream,
        admission: Admission,
        counters: Counters,
        heart: Heartbeat,
        clock: Clock,
        rng: Random,
        meter: NetworkMeter,
    ) -> None:
        self._meter = meter
        self._settings = settings
        self._stream = stream
        self._admission = admission
        self._counters = counters
        self._heart = heart
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
        for weakness in await redis_retry.until_accepted(self._admission.weaknesses) or []:
            log.warning(weakness)
        await redis_retry.until_accepted(self._recall)
        aloud = True
        while not stop.is_set():
            if await redis_retry.until_accepted(self._admission.prepare) is None:
                break
            if aloud:
                log.info("Connecting to command stream...")
            end = await self._session(redis_retry).run(stop)
            if end.error is not None:
                aloud = await self._wait(end.error, end.steady, stop)
        self._heart.done(LOOP)

    async def _recall(self) -> bool:
        """Which cloud an earlier process served at this API_URL."""
        seen = await self._admission.cloud_before()
        if seen is not None and seen.api_url == self._settings.api_url:
            self._memory.begin_with(Scope(seen.cloud_id, seen.plain))
        return True

    def _session(self, redis_retry: RedisRetry) -> Session:
        return Session(
            self._settings,
            self._stream,
            self._admission,
            redis_retry,
            self._counters,
            self._heart,
            self._clock,
            self._memory,
            self._meter,
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
        self._counters.reconnect()
        self._heart.degraded("cloud", text)
        times = self._repeats.again(text)
        if times is not None:
            log.warning(text, times=times, next_attempt_seconds=round(wait, 1))
        until = self._clock.boottime() + wait
        while (left := until - self._clock.boottime()) > 0:
            if await stop.sleep(min(left, TICK)):
                break
            self._heart.beat(LOOP)
        return times is not None
