"""One outcome, one attempt: read it, prove it whole, send it, remove it; or dead-letter it where it is given up."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from visant_contract.capture import JPEG
from visant_contract.errors import Rejected, Retryable
from visant_contract.outcome import Reason
from visant_runtime.kill_point import kill_point
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.refusals import Refusals
from visant_uploader.delivery.retry_policy import NO_ANSWER, Refused, Speaker, Unanswered
from visant_uploader.outcomes import Outcomes, dated, offset_for
from visant_uploader.spool.file_format import CorruptFile, Outcome, SpoolHeader, decode
from visant_uploader.spool.layout import Destination
from visant_uploader.spool.refusal_file import FILE_NAME, remember
from visant_uploader.spool.store import Spool
from visant_uploader.stages import stages_of
from visant_uploader.timestamps import best

log = structlog.get_logger()

KEEP_EVERY = 60.0
"""Seconds between two writes for refusals that all meet; those of one item alone come ever more rarely."""
KNOWS_NO_OUTCOMES = frozenset({404, 405})
Replace = Callable[[Destination, str, SpoolHeader | None], str | None]


@dataclass(frozen=True)
class Done:
    """Nothing more to do with it here. `answered`: the cloud has spoken. `successor`: a report in its place."""

    answered: bool
    successor: str | None = None


class Sender:
    """Holds one outcome at a time for each call of `deliver`."""

    def __init__(
        self,
        spool: Spool,
        cloud: CloudClient,
        watch: CloudWatch,
        outcomes: Outcomes,
        refusals: Refusals,
        counters: Counters,
    ) -> None:
        self._spool = spool
        self._cloud = cloud
        self._watch = watch
        self._outcomes = outcomes
        self._refusals = refusals
        self._counters = counters
        self._receipts: set[str] = set()
        self._no_outcomes_said = False
        self._raw_fails = False
        self._unkept_said = False
        self._keeping = asyncio.Lock()
        self._kept: Collection[str] = refusals.as_json().keys()
        """Items in the file."""
        self._kept_at = -KEEP_EVERY

    async def deliver(self, destination: Destination, name: str) -> Done:
        """Raises Retryable (also for a disk that fails), Refused where the item waits."""
        if name in self._receipts:
            return await self._remove(destination, name)
        try:
            outcome = decode(await asyncio.to_thread(self._spool.read, destination, name))
        except FileNotFoundError:  # a technician moved it
            await self._forget_refusals(name)
            return Done(answered=False)
        except CorruptFile as corrupt:
            return await self._quarantine(destination, name, corrupt)
        except OSError as error:
            raise _disk(f"{name} cannot be read", error) from None
        known = self._watch.cloud
        if known is None or self._watch.destination() != destination:
            return Done(answered=False)  # the cloud changed while the file was read: it is held from now on
        if known.cloud_id != outcome.header.cloud_id:
            # it lies in this cloud's place: taken over from the plain one before (Spool.succeed)
            header = outcome.header.model_copy(update={"cloud_id": known.cloud_id, "plain": known.plain})
            outcome = Outcome(header, outcome.body)
        header = outcome.header
        try:
            if header.kind == "picture":
                await self._send_picture(name, outcome)
            else:
                await self._send_report(name, header)
        except (Refused, Unanswered) as failure:
            given_up = await self._remember(name, header, failure)
            if given_up is None:
                raise
            return await self._give_up(destination, name, header, given_up)
        kill_point("deliver.sent")
        # a plain cloud stores a picture twice that comes twice; ours answers with the first receipt: the card is spared
        return await self._remove(destination, name, durably=header.plain)

    async def _remember(self, name: str, header: SpoolHeader, failure: Refused | Unanswered) -> Rejected | None:
        """Why the item is given up, if it is. One that is broken off again and again while others pass is refused."""
        refused = failure if isinstance(failure, Refused) else Refused(NO_ANSWER, Speaker.NETWORK, str(failure))
        given_up = self._refusals.refused(
            name,
            header.kind,
            refused,
            self._outcomes.now().boottime,
            plain=header.plain,
            confirmed=self._watch.latest_connected is not None,
        )
        soon = self._refusals.is_alone(name) or self._kept_at + KEEP_EVERY <= self._outcomes.now().boottime
        if soon and given_up is None:
            await self._keep_refusals()
        return given_up

    def confirmed(self) -> None:
        """A stream was confirmed: the way may take raw pictures now, or the cloud is another release."""
        self._raw_fails = False

    async def _send_picture(self, name: str, outcome: Outcome) -> None:
        header, now = outcome.header, self._outcomes.now()
        at, time = best(header.time, offset_for(header, self._watch.offset()), now)
        stages = stages_of(header, self._outcomes.spooled_at(name), self._watch.offset(), now)
        raw = not header.plain and not self._raw_fails and JPEG in self._watch.accepts()
        try:
            record_id = await self._cloud.send_picture(outcome, at, time, stages, raw=raw)
        except Refused as refused:
            if not raw or refused.is_fault:
                raise
            # a proxy that cuts headers, or a cloud of an older release: as JSON before anything follows from it
            record_id = await self._cloud.send_picture(outcome, at, time, stages, raw=False)
            self._raw_fails = True
            log.warning("raw pictures are refused, they go as JSON until the next stream", detail=refused.detail)
        self._refusals.accepted(self._outcomes.now().boottime, "picture")
        self._counters.add("pictures_delivered")
        log.info("delivered", trigger_id=header.trigger_id, record_id=record_id)

    async def _send_report(self, name: str, header: SpoolHeader) -> None:
        now = self._outcomes.now()
        report = dated(header, self._watch.offset(), now)
        stages = stages_of(header, self._outcomes.spooled_at(name), self._watch.offset(), now)
        try:
            await self._cloud.send_report(header, report, stages)
        except Refused as refused:
            if not self._knows_no_outcomes(name, header, refused):
                raise
            self._counters.add("reports_dropped")
            if not self._no_outcomes_said:
                log.info("this cloud knows no outcomes; reports to it are dropped and counted")
            self._no_outcomes_said = True
        else:
            self._refusals.accepted(self._outcomes.now().boottime, "report")
            self._counters.add("reports_delivered")
            log.info("reported", trigger_id=header.trigger_id, status=report.status, reason=report.reason)

    def _knows_no_outcomes(self, name: str, header: SpoolHeader, refused: Refused) -> bool:
        """A plain cloud says so itself, or a page does while the cloud behind it takes other things."""
        if not header.plain or refused.status not in KNOWS_NO_OUTCOMES:
            return False
        return refused.speaker is Speaker.CLOUD or self._refusals.others_pass(name)

    async def _remove(self, destination: Destination, name: str, *, durably: bool = True) -> Done:
        """The cloud has it; it is not sent again where the disk will not let it go."""
        self._receipts.add(name)
        try:
            await asyncio.to_thread(self._spool.delivered, destination, name, durably=durably)
        except OSError as error:
            raise _disk(f"{name} is delivered and cannot be removed", error) from None
        kill_point("deliver.unlinked")
        self._receipts.discard(name)
        await self._forget_refusals(name)
        return Done(answered=True)

    async def _give_up(self, destination: Destination, name: str, header: SpoolHeader, why: Rejected) -> Done:
        log.error("given up, kept as a dead letter", trigger_id=header.trigger_id, reason=why.reason, detail=why.detail)
        self._counters.add("uploads_rejected")
        report = self._outcomes.refused(header, why)
        successor = await self._replace(self._spool.refuse, destination, name, report)
        await self._forget_refusals(name)
        return Done(why.reason != Reason.REFUSED_ON_THE_WAY, successor)

    async def _forget_refusals(self, name: str) -> None:
        if self._refusals.done(name) and name in self._kept:
            await self._keep_refusals()

    async def _keep_refusals(self) -> None:
        """So that a restart does not begin the day anew; a disk that takes nothing costs no more than that."""
        async with self._keeping:
            records = self._refusals.as_json()
            if not records and not self._kept:  # a network that is away is no reason to write
                return
            self._kept, self._kept_at = records.keys(), self._outcomes.now().boottime
            try:
                await asyncio.to_thread(remember, self._spool.folders.root / FILE_NAME, records)
            except OSError as error:
                if not self._unkept_said:
                    log.warning("what was refused cannot be kept over a restart", error=error.strerror)
                self._unkept_said = True

    async def _quarantine(self, destination: Destination, name: str, corrupt: CorruptFile) -> Done:
        known = corrupt.header is not None and corrupt.header.file_name() == name
        header = corrupt.header if known else None
        trigger_id = "unknown" if header is None else header.trigger_id
        log.error("a damaged file, set aside", file=name, problem=corrupt.reason, trigger_id=trigger_id)
        report = self._outcomes.corrupt(header, corrupt.reason) if header is not None else None
        return Done(False, await self._replace(self._spool.quarantine, destination, name, report))

    async def _replace(
        self, step: Replace, destination: Destination, name: str, report: SpoolHeader | None
    ) -> str | None:
        try:
            return await asyncio.to_thread(step, destination, name, report)
        except OSError as error:
            raise _disk(f"{name} cannot be set aside", error) from None


def _disk(what: str, error: OSError) -> Retryable:
    return Retryable(f"{what} ({error.strerror})", endpoint=False)
