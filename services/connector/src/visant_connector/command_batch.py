"""Commands on their way into Redis, so that those that came together share one flush to the card."""

from collections.abc import Callable

import structlog

from visant_connector.admission import Admission, AdmissionResult, RedisRefused
from visant_connector.command_entries import Admittable
from visant_connector.counters import Counters
from visant_connector.redis_retry import RedisRetry
from visant_runtime.kill_point import kill_point

log = structlog.get_logger()


class CommandBatch:
    """Of one stream, in its order."""

    def __init__(self, admission: Admission, redis_retry: RedisRetry, counters: Counters) -> None:
        self._admission = admission
        self._redis_retry = redis_retry
        self._counters = counters
        self._waiting: list[Admittable] = []

    def add(self, one: Admittable) -> None:
        """The next `admit` carries it."""
        self._waiting.append(one)

    async def admit(self, waited: Callable[[float], None]) -> None:
        """Empties the batch into Redis; returns when Redis has it, or the process stops. `waited`: as RedisRetry."""
        if not self._waiting:
            return
        kill_point("connector.received")
        accepted = await self._redis_retry.until_accepted(self._offer, waited=waited)
        kill_point("connector.admitted")
        if not accepted:
            log.error("stopped while Redis refuses; the cloud has to send them again", commands=len(self._waiting))
            self._waiting.clear()

    async def _offer(self) -> bool:
        results = await self._admission.admit(self._waiting)
        refused: list[tuple[Admittable, RedisRefused]] = []
        for one, result in zip(self._waiting, results, strict=True):
            if isinstance(result, RedisRefused):
                refused.append((one, result))
            else:
                self._say(one, result)
        self._waiting = [one for one, _ in refused]
        if refused:
            raise refused[0][1]
        return True

    def _say(self, one: Admittable, result: AdmissionResult) -> None:
        self._counters.command(result)
        named = {"trigger_id": one.entry.trigger_id, "cmd": one.entry.cmd[:80]}
        if result is AdmissionResult.ADMITTED:
            log.info("admitted", **named)
        elif result is AdmissionResult.UNREMEMBERED:
            log.warning("admitted, but Redis could not remember it: a replay may queue it twice", **named)
        else:
            log.debug(result.value, **named)
