"""What was told, held against what happened. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.bench.alerts.mix import DAY, Fault
from tests.bench.rows import Row
from visant_cloud.alerts import kinds

SHORT = 300.0
"""Seconds: a fault that is over sooner need not be told, for the aim is to be told by then."""
_CONSEQUENCE = (kinds.FAILURES, kinds.CAMERA, kinds.SPOOL, kinds.NO_TELEMETRY)
_OF = {kinds.FAILURES: _CONSEQUENCE, kinds.SLOT_MISSED: _CONSEQUENCE}
"""Kind of an alert -> kinds of faults that bring it, where it is not the same."""
_SLACK = {kinds.SILENT: 100.0, kinds.FAILURES: 4 * 3600.0, kinds.SLOT_MISSED: 2.5 * 3600.0, kinds.POWER: 900.0}
"""Seconds after the end of a fault in which its alert may still open: until a stream is back, a report or a picture
says that it is over."""
_REPORT = 700.0


@dataclass(frozen=True)
class Said:
    """One alert that opened. Times are seconds of the bench's clock."""

    device: str
    kind: str
    opened: float
    message: float | None
    """When somebody was told, None: nobody was."""


@dataclass
class Record:
    """All that one run brought about."""

    cameras: int
    seconds: float
    faults: list[Fault]
    said: list[Said] = field(default_factory=list)
    opened: int = 0
    """Messages about what opened."""
    cleared: int = 0


@dataclass(frozen=True)
class Found:
    """The figures of a run."""

    camera_weeks: float
    incidents: int
    waits: tuple[float, ...]
    """Seconds from the begin of each dead camera or device to its message; infinite where none came."""
    false: int
    needless: int
    opened: float
    """Messages an incident."""
    cleared: float

    def rows(self, name: str) -> list[Row]:
        """`name` says which run."""
        hundred = 100 / self.camera_weeks
        return [
            Row(f"{name}, dead to message p50, s", part(self.waits, 0.5)),
            Row(f"{name}, dead to message p95, s", part(self.waits, 0.95), aim=SHORT),
            Row(f"{name}, never told", float(sum(math.isinf(one) for one in self.waits)), aim=0.0),
            Row(f"{name}, false a 100 camera-weeks", self.false * hundred, aim=1.0),
            Row(f"{name}, over in 5 min, a 100 c-w", self.needless * hundred),
            Row(f"{name}, opening messages an incident", self.opened),
            Row(f"{name}, recovered messages an incident", self.cleared),
            Row(f"{name}, incidents told", float(self.incidents)),
        ]


def judged(record: Record) -> Found:
    """Each alert is matched with the faults that hold its device; each dead camera and device with its message."""
    by_device: dict[str, list[Fault]] = {}
    for fault in record.faults:
        for name in fault.devices:
            by_device.setdefault(name, []).append(fault)
    told: set[Fault] = set()
    false = needless = 0
    for one in record.said:
        if one.message is None:
            continue
        wanted = _OF.get(one.kind, (one.kind,))
        slack = _SLACK.get(one.kind, _REPORT)
        mine = [
            fault
            for fault in by_device.get(one.device, ())
            if fault.cause.kind in wanted and fault.begin <= one.opened <= fault.end + slack
        ]
        # of a schedule by the hour one picture that failed is a missed slot
        real = [fault for fault in mine if not fault.cause.noise or one.kind == kinds.SLOT_MISSED]
        told |= {fault for fault in real if not fault.cause.noise}
        false += not real
        needless += bool(real) and one.kind != kinds.SLOT_MISSED and all(fault.lasts < SHORT for fault in real)
    of_incident = max(1, len(told))
    return Found(
        record.cameras * record.seconds / (7 * DAY),
        len(told),
        tuple(_waits(record, by_device, (kinds.SILENT, kinds.CAMERA))),
        false,
        needless,
        record.opened / of_incident,
        record.cleared / of_incident,
    )


def _waits(record: Record, by_device: dict[str, list[Fault]], wanted: Sequence[str]) -> Iterable[float]:
    said: dict[tuple[str, str], list[Said]] = {}
    for one in record.said:
        said.setdefault((one.device, one.kind), []).append(one)
    for name, faults in by_device.items():
        away = [fault for fault in faults if fault.cause.kind == kinds.SILENT]
        for fault in faults:
            kind = fault.cause.kind
            if kind not in wanted or fault.cause.noise or fault.lasts < SHORT or fault.end > record.seconds:
                continue
            others = away if kind == kinds.CAMERA else [one for one in away if one is not fault]
            if any(one.begin < fault.begin + 2 * SHORT and fault.begin < one.end + 2 * SHORT for one in others):
                continue  # two at once: which of them was told is not to be said
            hits = [
                one.message for one in said.get((name, kind), ()) if fault.begin <= one.opened <= fault.end + _REPORT
            ]
            found = [one for one in hits if one is not None]
            if found:
                yield min(found) - fault.begin
            elif not _open_already(faults, fault):
                yield math.inf


def _open_already(faults: Iterable[Fault], fault: Fault) -> bool:
    """Whether another of its kind was there a moment ago: the alert of that one is still open."""
    kind = fault.cause.kind
    return any(
        one is not fault and one.cause.kind == kind and one.begin < fault.begin < one.end + _REPORT for one in faults
    )


def part(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
