"""Takes outcomes from the outbox to the cloud: a dead uplink never delays a picture being taken, only this."""

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from visant_contract.errors import Misconfigured, Rejected, Retryable
from visant_runtime.clock import Clock
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.kill_point import kill_point
from visant_runtime.lifecycle import Stop
from visant_uploader.capture_time import best
from visant_uploader.cloud_client import CloudClient
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.counters import Counters
from visant_uploader.delivery_order import DeliveryOrder
from visant_uploader.delivery_pace import DeliveryPace
from visant_uploader.outcomes import Outcomes, dated, offset_for
from visant_uploader.retry_policy import item_pause
from visant_uploader.spool import Spool
from visant_uploader.spool_file import CorruptFile, Outcome, SpoolHeader, decode
from visant_uploader.spool_folders import Destination

log = structlog.get_logger()

LOOK_EVERY = 2.0
"""Seconds between looks for files that a technician put back."""
UPLOADS_FINISH = 5.0
"""Seconds that a stop leaves to running uploads: a plain cloud stores a picture twice that is sent twice."""
Replace = Callable[[Destination, str, SpoolHeader | None], str | None]
KNOWS_NO_OUTCOMES = frozenset({"http_404", "http_405"})


class DeliveryLoop:
    """Holds names only; each file is read when its turn comes."""

    def __init__(
        self,
        spool: Spool,
        cloud: CloudClient,
        watch: CloudWatch,
        outcomes: Outcomes,
        order: DeliveryOrder,
        pace: DeliveryPace,
        *,
        clock: Clock,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._spool = spool
        self._cloud = cloud
        self._watch = watch
        self._outcomes = outcomes
        self._order = order
        self._pace = pace
        self._clock = clock
        self._counters = counters
        self._heartbeat = heartbeat
        self._destination: Destination | None = None
        self._attempts: Counter[str] = Counter()
        self._receipts: set[str] = set()
        self._bell = asyncio.Event()
        self._no_outcomes_said = False

    def released(self, destination: Destination, name: str) -> None:
        """A new outcome may go."""
        if destination == self._destination:
            self._order.add(name, self._now())
        self._bell.set()

    def wake(self) -> None:
        """A confirmed stream or a new address: every wait ends."""
        self._pace.wake()
        self._order.wake()
        self._bell.set()

    async def run(self, stop: Stop) -> None:
        """Until stopped."""
        self._heartbeat.expect("delivery", 60)
        running: set[asyncio.Task[None]] = set()
        looked = 0.0
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(self._ring_at(stop))
            while not stop.is_set():
                self._heartbeat.beat("delivery")
                await self._follow_cloud()
                if self._now() - looked >= LOOK_EVERY:
                    looked = self._now()
                    await self._take_incoming()
                while self._destination is not None and self._pace.allowed(self._now(), len(running)) > 0:
                    name = self._order.take(self._now())
                    if name is None:
                        break
                    task = tasks.create_task(self._deliver(self._destination, name))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    task.add_done_callback(lambda _: self._bell.set())
                await self._wait(len(running))
            if running:
                _, unfinished = await asyncio.wait(running, timeout=UPLOADS_FINISH)
                for task in unfinished:
                    task.cancel()
            ending.cancel()
        self._heartbeat.done("delivery")

    def waiting(self) -> int:
        """Outcomes that wait for this cloud."""
        return len(self._order)

    async def _ring_at(self, stop: Stop) -> None:
        await stop.wait()
        self._bell.set()

    async def _wait(self, busy: int) -> None:
        """Until something can be done, at most LOOK_EVERY."""
        now = self._now()
        due = self._order.next_due(now)
        seconds = LOOK_EVERY
        if due is not None and self._destination is not None and not self._pace.full(busy):
            seconds = min(LOOK_EVERY, max(due, self._pace.next_due(), now) - now)
        try:
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    async def _follow_cloud(self) -> None:
        known = self._watch.cloud
        wanted = None if known is None else Destination(known.cloud_id, self._outcomes.device_id)
        if wanted == self._destination:
            return
        self._destination = wanted
        self._attempts.clear()
        self._order.clear()
        found = [] if wanted is None else await asyncio.to_thread(self._spool.outbox, wanted)
        self._order.fill(found)
        if found:
            log.info("outcomes wait for delivery", count=len(found))

    async def _take_incoming(self) -> None:
        try:
            taken = await asyncio.to_thread(self._spool.take_incoming)
        except OSError as error:
            log.error("files put back cannot be taken in, tried again", error=error.strerror)
            return
        for destination, name in taken:
            log.info("taken back into the outbox", file=name)
            self.released(destination, name)

    async def _deliver(self, destination: Destination, name: str) -> None:
        """One outcome, one attempt."""
        if name in self._receipts:
            await self._finish(destination, name)
            return
        try:
            outcome = decode(await asyncio.to_thread(self._spool.read, destination, name))
        except FileNotFoundError:
            self._forget(name)
        except CorruptFile as corrupt:
            await self._quarantine(destination, name, corrupt)
        except OSError as error:
            log.warning("an outcome cannot be read, tried again later", file=name, error=error.strerror)
            self._later(name)
        else:
            await self._send(destination, name, outcome)

    async def _send(self, destination: Destination, name: str, outcome: Outcome) -> None:
        header = outcome.header
        try:
            await (self._send_picture(outcome) if header.kind == "picture" else self._send_report(header))
        except Retryable as failure:
            self._counters.add("uploads_failed")
            if failure.endpoint:
                self._endpoint_trouble(failure)
            else:
                log.warning("upload failed, tried again later", trigger_id=header.trigger_id, detail=failure.reason)
            self._later(name)
        except Misconfigured as failure:
            self._counters.add("uploads_failed")
            self._endpoint_trouble(failure)
            self._later(name)
        except Rejected as refusal:
            self._well()
            await self._refuse(destination, name, header, refusal)
        else:
            self._well()
            kill_point("deliver.sent")
            self._receipts.add(name)
            await self._finish(destination, name)

    async def _send_picture(self, outcome: Outcome) -> None:
        header = outcome.header
        now = self._watch.moment()
        at, time = best(header.time, offset_for(header, self._watch.offset()), now)
        record_id = await self._cloud.send_picture(outcome, at, time)
        self._counters.add("pictures_delivered")
        log.info("delivered", trigger_id=header.trigger_id, record_id=record_id)

    async def _send_report(self, header: SpoolHeader) -> None:
        report = dated(header, self._watch.offset(), self._watch.moment())
        try:
            await self._cloud.send_report(header.trigger_id, report)
        except Misconfigured as failure:
            if not header.plain or failure.reason not in KNOWS_NO_OUTCOMES:
                raise
            self._counters.add("reports_dropped")
            if not self._no_outcomes_said:
                log.info("this cloud knows no outcomes; reports to it are dropped and counted")
            self._no_outcomes_said = True
        else:
            self._counters.add("reports_delivered")
            log.info("reported", trigger_id=header.trigger_id, status=report.status, reason=report.reason)

    async def _finish(self, destination: Destination, name: str) -> None:
        """The cloud has it; the file must go, and is not sent again where the disk will not let it go."""
        try:
            await asyncio.to_thread(self._spool.delivered, destination, name)
        except OSError as error:
            log.error("a delivered file cannot be removed", file=name, error=error.strerror)
            self._later(name)
            return
        kill_point("deliver.unlinked")
        self._receipts.discard(name)
        self._forget(name)

    async def _refuse(self, destination: Destination, name: str, header: SpoolHeader, refusal: Rejected) -> None:
        log.error("refused by the cloud", trigger_id=header.trigger_id, detail=refusal.detail)
        self._counters.add("uploads_rejected")
        report = self._outcomes.refused(header, refusal) if header.kind == "picture" else None
        await self._replace(destination, name, self._spool.refuse, report)

    async def _quarantine(self, destination: Destination, name: str, corrupt: CorruptFile) -> None:
        known = corrupt.header is not None and corrupt.header.file_name() == name
        header = corrupt.header if known else None
        log.error(
            "a damaged file, set aside", file=name, problem=corrupt.reason, trigger_id=header and header.trigger_id
        )
        report = self._outcomes.corrupt(header, corrupt.reason) if header is not None else None
        await self._replace(destination, name, self._spool.quarantine, report)

    async def _replace(self, destination: Destination, name: str, step: Replace, report: SpoolHeader | None) -> None:
        try:
            report_name = await asyncio.to_thread(step, destination, name, report)
        except OSError as error:
            log.error("a file cannot be set aside, tried again later", file=name, error=error.strerror)
            self._later(name)
            return
        self._forget(name)
        if report_name is not None:
            self.released(destination, report_name)

    def _endpoint_trouble(self, failure: Retryable | Misconfigured) -> None:
        seconds = self._pace.failed(failure, self._now())
        self._heartbeat.degraded("cloud", str(failure)[:200])
        log.warning("delivery waits", seconds=seconds, detail=str(failure)[:300])

    def _well(self) -> None:
        if self._pace.trouble is not None:
            log.info("delivery goes on")
        self._pace.went_well()
        self._heartbeat.degraded("cloud", None)

    def _later(self, name: str) -> None:
        if name not in self._order:  # the cloud changed meanwhile, and with it all names
            return
        self._order.later(name, self._now() + item_pause(self._attempts[name], self._pace.rng))
        self._attempts[name] += 1

    def _forget(self, name: str) -> None:
        self._order.done(name)
        self._attempts.pop(name, None)

    def _now(self) -> float:
        return self._clock.boottime()
