"""Whom a refusal concerns: the item, or everything? Pure; the memory of it outlives the process.

An answer that refuses one item is believed of that item only with a witness that all else is well:

the cloud says it will never take it    any request accepted between two such answers; of a plain cloud, which may
                                        have little to accept: five such answers over an hour
anything else                           others of its kind accepted between its refusals, for 24 h

Without one it may be the network's doing, and the item just waits. A report is never given up: without it its
trigger would have no outcome.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from visant_contract.errors import Rejected
from visant_contract.outcome import Reason, rejected_reason
from visant_uploader.delivery.retry_policy import Refused

GIVEN_UP_AFTER = 86_400.0
"""Seconds for which others passed while this one was refused."""
PLAIN_TIMES = 5
PLAIN_OVER = 3600.0
"""Seconds between the first and the last of so many refusals by a plain cloud."""
KEPT = 300
"""Items remembered; where more are refused it is not the items."""


@dataclass
class Record:
    """What is known of one item that was refused. Times: CLOCK_BOOTTIME, seconds, of one boot."""

    boot_id: str
    last: float
    """When it was refused last."""
    counted_to: float
    """Up to when `passed_over` is counted."""
    rejections: int = 0
    """How often the cloud itself said that it will never take it."""
    rejected_at: float = 0.0
    """When it said so last; 0: not in this boot."""
    rejecting_for: float = 0.0
    """Seconds from the first time it said so to the last, as far as this device was up."""
    passed_over: float = 0.0
    """Seconds for which others of its kind passed while it was refused."""


class Refusals:
    """`now` is CLOCK_BOOTTIME, which goes on where this process is started again."""

    def __init__(self, boot_id: str, now: float) -> None:
        self._boot_id = boot_id
        self._records: dict[str, Record] = {}
        self._accepted_at: float | None = None
        self._passed_at: dict[str, float] = {}
        self._alone: set[str] = set()
        self._trouble_until = now
        """Until when something else was wrong, a process that did not run included."""

    def accepted(self, now: float, kind: str | None = None) -> None:
        """The cloud took something: an item of this kind (`picture`, `report`), or telemetry."""
        self._accepted_at = now
        if kind is not None:
            self._passed_at[kind] = now

    def trouble(self, now: float) -> None:
        """Everything fails alike: the time up to now counts against no item."""
        self._trouble_until = now

    def refused(
        self, name: str, kind: str, refused: Refused, now: float, *, plain: bool, confirmed: bool
    ) -> Rejected | None:
        """The item was refused: why it is given up, or None where it waits. `confirmed`: the cloud's stream is."""
        record = self._record(name, now)
        if any(record.last < passed for passed in self._passed_at.values()):
            self._alone.add(name)
        witness = self._count(record, kind, refused, now)
        rejection = self._rejection(record, refused, now, plain=plain, confirmed=confirmed)
        record.last = now
        if kind == "report":
            return None
        if rejection is None and record.passed_over >= GIVEN_UP_AFTER and witness:
            hours = record.passed_over / 3600
            return Rejected(
                Reason.REFUSED_ON_THE_WAY, f"refused for {hours:.0f} h while others passed: {refused.detail}"
            )
        return rejection

    def is_alone(self, name: str) -> bool:
        """Others were accepted between two refusals of it: what it meets, they do not share."""
        return name in self._alone

    def others_pass(self, name: str) -> bool:
        """Whether anything at all was accepted since this item was refused last."""
        record = self._records.get(name)
        return record is not None and self._accepted_at is not None and self._accepted_at > record.last

    @property
    def alone(self) -> frozenset[str]:
        """All that are."""
        return frozenset(self._alone)

    def done(self, name: str) -> bool:
        """It is delivered or gone; whether anything was known of it."""
        self._alone.discard(name)
        return self._records.pop(name, None) is not None

    def as_json(self) -> dict[str, Any]:
        """For `recall`: of each item that something is counted of. What all met alike, while nothing passed, is not."""
        told = (
            one for one in self._records.items() if one[0] in self._alone or one[1].rejections or one[1].passed_over
        )
        return {name: asdict(record) for name, record in told}

    def recall(self, kept: Mapping[str, Any]) -> None:
        """What an earlier process knew; what cannot be read is left out."""
        for name, fields in kept.items():
            try:
                record = Record(**fields)
                numbers = [float(value) for key, value in fields.items() if key != "boot_id"]
            except (TypeError, ValueError):
                continue
            if all(number >= 0 for number in numbers):
                self._records[name] = record

    def _record(self, name: str, now: float) -> Record:
        record = self._records.setdefault(name, Record(self._boot_id, now, now))
        if record.boot_id != self._boot_id:  # its times mean nothing here; what was counted stays
            record.boot_id, record.last, record.counted_to, record.rejected_at = self._boot_id, now, now, 0.0
        while len(self._records) > KEPT:
            oldest = next(iter(self._records))
            self._alone.discard(oldest)
            del self._records[oldest]
        return record

    def _count(self, record: Record, kind: str, refused: Refused, now: float) -> bool:
        """Whether others of its kind passed since it was refused last; adds the time up to then."""
        passed = self._passed_at.get(kind)
        if passed is None or refused.is_fault or not record.last < passed <= now:
            return False
        since = max(record.counted_to, min(self._trouble_until, passed))
        record.passed_over += passed - since
        record.counted_to = passed
        return True

    def _rejection(
        self, record: Record, refused: Refused, now: float, *, plain: bool, confirmed: bool
    ) -> Rejected | None:
        if not refused.rejects:
            return None
        asked_before = record.rejections > 0
        witness = asked_before and self._accepted_at is not None and self._accepted_at > record.rejected_at
        record.rejections += 1
        if record.rejected_at:
            record.rejecting_for += now - record.rejected_at
        record.rejected_at = now
        if plain:
            witness = confirmed and record.rejections >= PLAIN_TIMES and record.rejecting_for >= PLAIN_OVER
        return Rejected(rejected_reason(refused.status), refused.detail) if witness else None
