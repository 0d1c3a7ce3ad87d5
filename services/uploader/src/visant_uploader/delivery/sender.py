"""One outcome, one attempt: read it, prove it whole, send it, remove it; or dead-letter it where the cloud refuses."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from visant_contract.errors import Misconfigured, Rejected, Retryable
from visant_runtime.kill_point import kill_point
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.outcomes import Outcomes, dated, offset_for
from visant_uploader.spool.file_format import CorruptFile, Outcome, SpoolHeader, decode
from visant_uploader.spool.layout import Destination
from visant_uploader.spool.store import Spool
from visant_uploader.timestamps import best

log = structlog.get_logger()

KNOWS_NO_OUTCOMES = frozenset({"http_404", "http_405"})
Replace = Callable[[Destination, str, SpoolHeader | None], str | None]


@dataclass(frozen=True)
class Done:
    """Nothing more to do with it here. `answered`: the cloud has spoken. `successor`: a report in its place."""

    answered: bool
    successor: str | None = None


class Sender:
    """Holds one outcome at a time for each call of `deliver`."""

    def __init__(
        self, spool: Spool, cloud: CloudClient, watch: CloudWatch, outcomes: Outcomes, counters: Counters
    ) -> None:
        self._spool = spool
        self._cloud = cloud
        self._watch = watch
        self._outcomes = outcomes
        self._counters = counters
        self._receipts: set[str] = set()
        self._no_outcomes_said = False

    async def deliver(self, destination: Destination, name: str) -> Done:
        """Raises Retryable (also for a disk that fails), Misconfigured."""
        if name in self._receipts:
            return await self._remove(destination, name)
        try:
            outcome = decode(await asyncio.to_thread(self._spool.read, destination, name))
        except FileNotFoundError:
            return Done(answered=False)  # a technician moved it
        except CorruptFile as corrupt:
            return await self._quarantine(destination, name, corrupt)
        except OSError as error:
            raise _disk(f"{name} cannot be read", error) from None
        known = self._watch.cloud
        if known is None or known.cloud_id != outcome.header.cloud_id:
            return Done(answered=False)  # the cloud changed while the file was read: it is held from now on
        try:
            if outcome.header.kind == "picture":
                await self._send_picture(outcome)
            else:
                await self._send_report(outcome.header)
        except Rejected as refusal:
            return await self._refuse(destination, name, outcome.header, refusal)
        kill_point("deliver.sent")
        return await self._remove(destination, name)

    async def _send_picture(self, outcome: Outcome) -> None:
        header = outcome.header
        at, time = best(header.time, offset_for(header, self._watch.offset()), self._outcomes.now())
        record_id = await self._cloud.send_picture(outcome, at, time)
        self._counters.add("pictures_delivered")
        log.info("delivered", trigger_id=header.trigger_id, record_id=record_id)

    async def _send_report(self, header: SpoolHeader) -> None:
        report = dated(header, self._watch.offset(), self._outcomes.now())
        try:
            await self._cloud.send_report(header, report)
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

    async def _remove(self, destination: Destination, name: str) -> Done:
        """The cloud has it; it is not sent again where the disk will not let it go."""
        self._receipts.add(name)
        try:
            await asyncio.to_thread(self._spool.delivered, destination, name)
        except OSError as error:
            raise _disk(f"{name} is delivered and cannot be removed", error) from None
        kill_point("deliver.unlinked")
        self._receipts.discard(name)
        return Done(answered=True)

    async def _refuse(self, destination: Destination, name: str, header: SpoolHeader, refusal: Rejected) -> Done:
        log.error("refused by the cloud", trigger_id=header.trigger_id, detail=refusal.detail)
        self._counters.add("uploads_rejected")
        report = self._outcomes.refused(header, refusal) if header.kind == "picture" else None
        return Done(True, await self._replace(self._spool.refuse, destination, name, report))

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
