"""Takes outcomes from the outbox to the cloud: a dead uplink never delays a picture being taken, only this."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable

import structlog

from visant_contract.errors import Retryable
from visant_runtime.clock import Clock
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.counters import Counters
from visant_uploader.delivery.pace import DeliveryPace
from visant_uploader.delivery.queue import DeliveryQueue
from visant_uploader.delivery.refusals import Refusals
from visant_uploader.delivery.retry_policy import BACKOFF_CAP, Refused, Unanswered, item_pause
from visant_uploader.delivery.sender import Done, Sender
from visant_uploader.spool.layout import Destination
from visant_uploader.spool.store import Spool

log = structlog.get_logger()

LOOK_EVERY = 2.0
"""Seconds between looks for files that a technician put back."""
RUNNING_MAX = 4
"""Uploads at once, hanging ones included; bounds memory to as many pictures."""
UPLOADS_FINISH = 5.0
"""Seconds that a stop leaves to running uploads: a plain cloud stores a picture twice that is sent twice."""

WITNESS_EVERY = 10.0
"""Seconds at least between two telemetries that are sent only to learn whether the cloud is well."""
WITNESS_WITHIN = 30.0
"""Seconds at most until an item that the cloud rejects is tried again: by then it is known."""
TEXT_KEPT = 600
"""Characters of a failure's line: a remedy stands at its end."""


class DeliveryLoop:
    """Holds names only; each file is read when its turn comes."""

    def __init__(
        self,
        spool: Spool,
        sender: Sender,
        watch: CloudWatch,
        queue: DeliveryQueue,
        pace: DeliveryPace,
        refusals: Refusals,
        *,
        clock: Clock,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._spool = spool
        self._sender = sender
        self._watch = watch
        self._queue = queue
        self._pace = pace
        self._refusals = refusals
        self.on_rejected: list[Callable[[], None]] = []
        """Called where a witness is wanted: the cloud refuses an item, and nothing says that it takes others."""
        self._witness_asked = -WITNESS_EVERY
        self._clock = clock
        self._counters = counters
        self._heartbeat = heartbeat
        self._destination: Destination | None = None
        self._attempts: Counter[str] = Counter()
        self._asked_to_wait: dict[str, float] = {}
        """Items whose answer named a time (Retry-After), and until when."""
        self._running: dict[asyncio.Task[None], int] = {}
        self._wakes = 0
        self._bell = asyncio.Event()
        self._incoming_trouble = ""

    def released(self, destination: Destination, name: str) -> None:
        """A new outcome may go."""
        if destination == self._destination:
            self._queue.add(name, self._clock.boottime())
        self._bell.set()

    def wake(self) -> None:
        """A confirmed stream shows that the network is there. Every wait ends, but for one that the other end asked
        for and the long one of an item that is refused while others pass; and not for each of many streams in a row.
        """
        self._wakes += 1
        now = self._clock.boottime()
        if self._pace.wake(now):
            self._queue.wake(before=now + BACKOFF_CAP, but=self._bound(now))
            self._bell.set()

    async def run(self, stop: Stop) -> None:
        """Until stopped."""
        self._heartbeat.expect("delivery", 60)
        looked = 0.0
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(self._ring_at(stop))
            while not stop.is_set():
                self._heartbeat.beat("delivery")
                await self._follow_cloud()
                if self._clock.boottime() - looked >= LOOK_EVERY:
                    looked = self._clock.boottime()
                    await self._collect_incoming()
                    await self._take_over()
                while (name := self._next()) is not None and self._destination is not None:
                    task = tasks.create_task(self._deliver(self._destination, name))
                    self._running[task] = self._wakes
                    task.add_done_callback(self._ended)
                await self._wait()
            if self._running:
                _, unfinished = await asyncio.wait(set(self._running), timeout=UPLOADS_FINISH)
                for task in unfinished:
                    task.cancel()
            ending.cancel()
        self._heartbeat.done("delivery")

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._bell.set()

    def _busy(self) -> int:
        """Uploads that count. Those from before the last wake may hang on a network that is gone."""
        if len(self._running) >= RUNNING_MAX:
            return RUNNING_MAX
        return sum(began == self._wakes for began in self._running.values())

    def _next(self) -> str | None:
        now = self._clock.boottime()
        if self._destination is None or self._destination != self._watch.destination():
            return None
        if not self._pace.allowed(now, self._busy()):
            return None
        return self._queue.pop(now)

    async def _ring_at(self, stop: Stop) -> None:
        await stop.wait()
        self._bell.set()

    async def _wait(self) -> None:
        """Until something can be done, at most LOOK_EVERY."""
        now = self._clock.boottime()
        due = self._queue.next_due(now)
        seconds = LOOK_EVERY
        if due is not None and self._destination is not None and not self._pace.full(self._busy()):
            seconds = min(LOOK_EVERY, max(due, self._pace.next_due(), now) - now)
        try:
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    async def _follow_cloud(self) -> None:
        wanted = self._watch.destination()
        if wanted == self._destination:
            return
        self._destination = wanted
        self._attempts.clear()
        self._queue.clear()
        try:
            found = [] if wanted is None else await asyncio.to_thread(self._spool.outbox, wanted)
        except OSError as error:  # a full disk may have no block for a new cloud's folder
            self._destination = None
            log.error("the outbox cannot be read, tried again", error=error.strerror)
            return
        self._queue.fill(found)
        if found:
            log.info("outcomes wait for delivery", count=len(found))

    async def _collect_incoming(self) -> None:
        try:
            collected = await asyncio.to_thread(self._spool.collect_incoming)
        except OSError as error:
            if self._incoming_trouble != (trouble := f"{error.filename}: {error.strerror}"):
                log.error(
                    "files put back cannot be taken in, tried again: may the uploader read them?", problem=trouble
                )
            self._incoming_trouble = trouble
            return
        self._incoming_trouble = ""
        for destination, name in collected:
            log.info("taken back into the outbox", file=name)
            self.released(destination, name)

    async def _take_over(self) -> None:
        """What waits for the plain cloud before the one in force, late outcomes of its commands included."""
        before, now = self._watch.predecessor, self._destination
        if before is None or now is None or now != self._watch.destination():
            return
        try:
            moved = await asyncio.to_thread(self._spool.succeed, before, now)
        except OSError as error:
            log.error("what waits for the plain cloud before cannot be taken over, tried again", error=error.strerror)
            return
        if moved:
            log.info("taken over from the plain cloud before this one", count=len(moved))
        if moved and now == self._destination:
            self._queue.fill(moved)
            self._bell.set()

    async def _deliver(self, destination: Destination, name: str) -> None:
        """One attempt, and what it means for this item and for all."""
        try:
            done = await self._sender.deliver(destination, name)
        except Retryable as failure:
            self._counters.add("uploads_failed")
            text = str(failure)[:TEXT_KEPT]
            if failure.endpoint and not (isinstance(failure, Unanswered) and self._refusals.is_alone(name)):
                self._endpoint_waits(self._pace.failed(failure, self._clock.boottime()), text)
            else:
                log.warning("not delivered, tried again later", file=name, detail=text)
            self._later(name)
        except Refused as refused:
            self._counters.add("uploads_failed")
            self._was_refused(name, refused)
        else:
            if destination != self._destination and name in self._queue:
                # taken over while it was on its way: it lies in the other place, whose cloud answers with its receipt
                self._queue.later(name, self._clock.boottime())
            else:
                self._queue.done(name)
            self._attempts.pop(name, None)
            self._well(done)
            if done.successor is not None:
                self.released(destination, done.successor)

    def _was_refused(self, name: str, refused: Refused) -> None:
        """It waits, and others go before it; where they meet the same, it is the endpoint that waits."""
        now, text = self._clock.boottime(), refused.detail[:TEXT_KEPT]
        plain = self._watch.cloud is None or self._watch.cloud.plain
        alone = self._refusals.is_alone(name)
        seconds = None if alone else self._pace.refused(name, refused, now)
        if seconds is not None:
            self._endpoint_waits(seconds, text)
        else:
            log.warning("refused, tried again later", file=name, detail=text)
            self._heartbeat.degraded("refused" if alone else "cloud", text)
        if refused.rejects and now - self._witness_asked >= WITNESS_EVERY:
            self._witness_asked = now
            for ask in self.on_rejected:
                ask()
        self._later(
            name,
            alone=alone and not refused.is_fault,
            at_least=refused.retry_after or 0.0,
            at_most=WITNESS_WITHIN if refused.rejects and not plain else math.inf,
        )

    def _endpoint_waits(self, seconds: float, text: str) -> None:
        self._refusals.trouble(self._clock.boottime())
        self._heartbeat.degraded("cloud", text)
        log.warning("delivery waits", seconds=seconds, detail=text)

    def _well(self, done: Done) -> None:
        if not any(name in self._queue for name in self._refusals.alone):
            self._heartbeat.degraded("refused", None)
        if not done.answered:
            return
        self._heartbeat.degraded("cloud", None)
        if self._pace.trouble is not None:
            log.info("delivery goes on")
            # what the others met was not their own
            self._queue.wake(but=self._refusals.alone | self._bound(self._clock.boottime()))
        self._pace.went_well()

    def _bound(self, now: float) -> frozenset[str]:
        """Items that a confirmed stream does not wake: the other end asked for the time."""
        self._asked_to_wait = {name: until for name, until in self._asked_to_wait.items() if until > now}
        return frozenset(self._asked_to_wait)

    def _later(self, name: str, *, alone: bool = False, at_least: float = 0.0, at_most: float = math.inf) -> None:
        now = self._clock.boottime()
        seconds = max(min(item_pause(self._attempts[name], self._pace.rng, alone=alone), at_most), at_least)
        self._queue.later(name, now + seconds)
        if at_least:
            self._asked_to_wait[name] = now + at_least
        if name in self._queue:  # else the cloud changed meanwhile, and with it all names
            self._attempts[name] += 1
