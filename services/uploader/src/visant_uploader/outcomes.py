"""From what happened to what is written: the header of each kind of outcome."""

from visant_contract.capture import CaptureTime
from visant_contract.command import WORD_MAX
from visant_contract.errors import Rejected
from visant_contract.outcome import OutcomeReport, OutcomeStatus, Reason
from visant_contract.stream import CommandEntry
from visant_runtime.clock import Moment
from visant_uploader.capture.camera_client import Snapshot
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.device import Device
from visant_uploader.spool.file_format import SpoolHeader
from visant_uploader.timestamps import SET_UNCERTAINTY, Offset, at_exposure, best

DETAIL_MAX = 1000
SPOOLED_KEPT = 10_000
"""Outcomes of which it is known when they were spooled; about 2 MB."""


class Outcomes:
    """Knows who we are and what time it is."""

    def __init__(self, device: Device, watch: CloudWatch) -> None:
        self.device = device
        self._watch = watch
        self._spooled: dict[str, float] = {}

    def now(self) -> Moment:
        """The clocks."""
        return self._watch.moment()

    def predecessor_of(self, entry: CommandEntry) -> str | None:
        """The scope of the plain cloud that the cloud of this command took over from."""
        before, cloud = self._watch.predecessor, self._watch.cloud
        return None if before is None or cloud is None or cloud.cloud_id != entry.cloud_id else before.cloud_id

    def picture(self, entry: CommandEntry, trigger_id: str, snapshot: Snapshot) -> SpoolHeader:
        """For a snapshot of just now."""
        now = self._watch.moment()
        return SpoolHeader(
            kind="picture",
            device_id=self.device.id,
            cloud_id=entry.cloud_id,
            plain=entry.plain,
            api_url=self.device.api_url,
            trigger_id=trigger_id,
            trigger_type=entry.trigger_type[:WORD_MAX],  # an older connector queued any length
            device_version=self.device.version,
            time=at_exposure(snapshot.info.captured_boottime, now),
            earlier=_earlier(entry, snapshot.first_asked_at, now),
            clock_offset=self._offset(),
            sequence=snapshot.info.sequence,
            width=snapshot.info.width,
            height=snapshot.info.height,
        )

    def report(
        self,
        entry: CommandEntry,
        trigger_id: str,
        status: OutcomeStatus,
        reason: Reason | None,
        detail: str,
        asked_at: float | None = None,
    ) -> SpoolHeader:
        """For a command that ended without a picture, just now. `asked_at`: CLOCK_BOOTTIME, the camera was asked."""
        now = self._watch.moment()
        return SpoolHeader(
            kind="report",
            device_id=self.device.id,
            cloud_id=entry.cloud_id,
            plain=entry.plain,
            api_url=self.device.api_url,
            trigger_id=trigger_id,
            trigger_type=entry.trigger_type[:WORD_MAX],
            device_version=self.device.version,
            time=at_exposure(now.boottime, now),
            earlier=_earlier(entry, asked_at, now),
            clock_offset=self._offset(),
            report=OutcomeReport(status=status, reason=reason, detail=detail[:DETAIL_MAX]),
        )

    def refused(self, picture: SpoolHeader, refusal: Rejected) -> SpoolHeader:
        """For a picture that the cloud refused for good."""
        return self._instead(picture, Reason(refusal.reason), refusal.detail)

    def corrupt(self, damaged: SpoolHeader, detail: str) -> SpoolHeader:
        """For a file that the card damaged."""
        return self._instead(damaged, Reason.SPOOL_CORRUPT, detail)

    def _instead(self, header: SpoolHeader, reason: Reason, detail: str) -> SpoolHeader:
        now = self._watch.moment()
        taken = {"exposed": header.time} if header.kind == "picture" else {}
        return header.model_copy(
            update={
                "kind": "report",
                "earlier": header.earlier | taken,
                "time": at_exposure(now.boottime, now),
                "clock_offset": self._offset(),
                "report": OutcomeReport(status="failed", reason=reason, detail=detail[:DETAIL_MAX]),
            }
        )

    def note_spooled(self, name: str) -> None:
        """The outcome's file is on the medium, just now."""
        self._spooled[name] = self._watch.moment().boottime
        if len(self._spooled) > SPOOLED_KEPT:
            del self._spooled[next(iter(self._spooled))]

    def spooled_at(self, name: str) -> float | None:
        """CLOCK_BOOTTIME of that; None where another process wrote it, or too many have been since."""
        return self._spooled.get(name)

    def _offset(self) -> float | None:
        offset = self._watch.offset()
        return None if offset is None else offset.seconds


def _earlier(entry: CommandEntry, asked_at: float | None, now: Moment) -> dict[str, CaptureTime]:
    """The steps before the outcome."""
    found = {}
    if entry.admitted_boottime is not None:
        found["admitted"] = CaptureTime(
            boot_id=entry.deadline.boot_id,
            boottime=entry.admitted_boottime,
            wall=entry.admitted_wall,
            synchronised=entry.admitted_synchronised,
            uncertainty=SET_UNCERTAINTY if entry.admitted_synchronised else None,
        )
    if asked_at is not None:
        found["camera_asked"] = at_exposure(asked_at, now)
    return found


def offset_for(header: SpoolHeader, current: Offset | None) -> Offset | None:
    """The newest knowledge of the cloud's clock in the boot of `header`."""
    if current is not None and current.boot_id == header.time.boot_id:
        return current
    return None if header.clock_offset is None else Offset(header.time.boot_id, header.clock_offset)


def dated(header: SpoolHeader, current: Offset | None, now: Moment) -> OutcomeReport:
    """The report of `header` with the time of its decision."""
    assert header.report is not None
    at, _ = best(header.time, offset_for(header, current), now)
    return header.report.model_copy(update={"at": at})
