"""How a device is, from what is known of it: one state, and each cause with since when and what to do. Pure.

Ages are given, not computed: who shows a page counts them by the cloud's clock, the engine by its own, which nobody
sets (engine.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from visant_cloud.alerts import kinds
from visant_cloud.alerts.heard import Heard
from visant_cloud.alerts.kinds import KINDS
from visant_cloud.alerts.rules import DEFAULT, Rules
from visant_cloud.quality import remedies
from visant_contract.outcome import Reason, remedy

State = Literal["ok", "degraded", "silent", "never_connected", "suspended"]
STATES: tuple[State, ...] = ("ok", "degraded", "silent", "never_connected", "suspended")

SILENCE = 90.0
"""Seconds without a stream after which a device is silent: it is back within 30 s of a cut, and of the cloud."""
SILENCE_METERED = 480.0
"""The same of a metered device: it notices a dead stream after two pings of 180 s."""
STALE = 1000.0
"""Seconds without telemetry after which a connected device that used to send it says nothing: 3 reports of 300 s."""
STALE_METERED = 6.5 * 3600
"""The same of a metered device, which reports each 7200 s."""
_SMALL_DISK = 0.2
"""Of a disk: where the limit in bytes is more than this part of it, the part counts."""
_OPEN_KEEPS = 1.25
"""An open alert stays until there is so much more room, or so much less heat, than what opened it."""
_COOLER = 5.0
_FULL = 0.8
"""Of the spool's bytes."""
_WAITING = 3600.0
"""Seconds that a picture waits on a device that is connected."""
_OURS = ("camera",)
"""Parts of the device's own reasons that a typed field says better."""


class Ended(NamedTuple):
    """One trigger that ended. `seq`: its place in the ledger."""

    seq: int
    status: str
    reason: str | None


class Slot(NamedTuple):
    """The scheduled trigger that ended last, where it ended without a picture."""

    seq: int
    scheduled_for: datetime
    reason: str | None


class Pictures(NamedTuple):
    """What is said against a device's last pictures: a verdict that is not `useful`."""

    state: str
    since: datetime | None
    reason: str


@dataclass(frozen=True)
class Facts:
    """What is known of a device."""

    active: bool = True
    connected: bool = False
    created_at: datetime | None = None
    last_seen_at: datetime | None = None
    """None: it never was."""
    absent: float = 0.0
    """Seconds without a stream; 0 while connected."""
    telemetry: Mapping[str, Any] | None = None
    telemetry_at: datetime | None = None
    telemetry_age: float = 0.0
    """Seconds."""
    outcomes: Sequence[Ended] = ()
    """Of its last triggers, in the order of the ledger."""
    excused: int = 0
    """Outcomes up to this seq count against nobody: they are of a time without a connection."""
    interval: float | None = None
    """Of its schedule, seconds."""
    slot: Slot | None = None
    pictures: Pictures | None = None
    """None: nothing is said against them."""
    open: Collection[str] = ()
    """Kinds of which an alert is open: they stay until things are clearly better."""

    @property
    def seen(self) -> bool:
        """Whether it ever was connected."""
        return self.connected or self.last_seen_at is not None


@dataclass(frozen=True)
class Cause:
    """Why a device is not ok."""

    kind: str
    since: datetime | None
    """None: nobody knows."""
    detail: str
    remedy: str


@dataclass(frozen=True)
class Health:
    """What is said of a device."""

    state: State
    since: datetime | None = None
    causes: list[Cause] = field(default_factory=list)


def health(facts: Facts, now: datetime, rules: Rules = DEFAULT, since: Mapping[str, datetime] | None = None) -> Health:
    """The state and its causes. `since`: of open alerts, kind -> when it began, which is older than the last report."""
    return of_causes(facts, causes(facts, now, rules), now, since or {})


def of_causes(facts: Facts, found: Mapping[str, Cause], now: datetime, known: Mapping[str, datetime]) -> Health:
    """The same, of causes that were found before."""
    state = state_of(facts, found)
    if state == "never_connected":
        return Health(state, facts.created_at)
    told = [_older(one, known.get(one.kind), now) for one in found.values()]
    began = [one.since for one in told if one.since is not None]
    return Health(state, min(began, default=None), told)


def state_of(facts: Facts, found: Collection[str]) -> State:
    """The state alone. `found`: kinds of the causes."""
    if not facts.active:
        return "suspended"
    if not facts.seen:
        return "never_connected"
    if kinds.SILENT in found:
        return "silent"
    return "degraded" if found else "ok"


def _older(cause: Cause, known: datetime | None, now: datetime) -> Cause:
    times = [one for one in (cause.since, known) if one is not None]
    return Cause(cause.kind, min([*times, now]) if times else None, cause.detail, cause.remedy)


def causes(facts: Facts, now: datetime, rules: Rules = DEFAULT) -> dict[str, Cause]:
    """kind -> what is wrong; of a silent device nothing else is known. Nothing of a device that is not awaited."""
    if not facts.active or not facts.seen:
        return {}
    heard = Heard(facts.telemetry)
    silence = SILENCE_METERED if heard.metered else SILENCE
    if not facts.connected and (facts.absent >= silence or kinds.SILENT in facts.open):
        began = now - timedelta(seconds=facts.absent)
        since = began if facts.last_seen_at is None else min(began, facts.last_seen_at)
        return {kinds.SILENT: _cause(kinds.SILENT, since, "no connection")}
    told = [
        _camera(heard, facts),
        _spool(heard, facts, rules),
        _disk(heard, facts, rules),
        _heat(heard, facts, rules),
        _power(heard),
        _clock(heard, facts, rules),
    ]
    stale = STALE_METERED if heard.metered else STALE
    if facts.telemetry is not None and facts.telemetry_age >= stale:
        # what it said then is not known to be so now
        text = f"no report for {_span(facts.telemetry_age)}; connected, so its connector works"
        told = [_cause(kinds.NO_TELEMETRY, facts.telemetry_at, text)]
    elif (other := _other(heard, facts)) is not None:
        told.append(other)
    told += [_failures(facts, rules), _slot_missed(facts, rules), _quality(facts)]
    return {one.kind: one for one in told if one is not None}


def _cause(kind: str, since: datetime | None, detail: str, remedy: str | None = None) -> Cause:
    return Cause(kind, since, detail[:300], remedy or KINDS[kind].remedy)


def _camera(heard: Heard, facts: Facts) -> Cause | None:
    state = heard.word("camera", "state")
    if state is None or state == "ok":
        return None
    age, at = heard.number("camera", "state_age"), facts.telemetry_at
    since = None
    if age is not None and at is not None and 0 <= age < 1e9:
        since = at - timedelta(seconds=age)
    detail = heard.word("camera", "detail")
    return _cause(kinds.CAMERA, since, state if detail is None else f"{state}: {detail}", remedy(state))


def _spool(heard: Heard, facts: Facts, rules: Rules) -> Cause | None:
    ease = 1 / _OPEN_KEEPS if kinds.SPOOL in facts.open else 1.0
    held, limit = heard.number("spool", "bytes"), heard.number("spool", "limit_bytes")
    days, oldest = heard.number("spool", "days_left"), heard.number("spool", "oldest_age")
    waiting = (heard.number("spool", "pictures") or 0) + (heard.number("spool", "reports") or 0)
    said = []
    if held is not None and limit is not None and limit > 0 and held >= _FULL * ease * limit:
        said.append(f"{held / limit:.0%} of its room is taken")
    if waiting and days is not None and 0 <= days < rules.spool_days / ease:
        said.append(f"room for {days:.1f} days")
    if waiting and oldest is not None and oldest >= _WAITING * ease:
        said.append(f"{waiting:.0f} wait, the oldest for {_span(oldest)}")
    return _cause(kinds.SPOOL, None, "; ".join(said)) if said else None


def _disk(heard: Heard, facts: Facts, rules: Rules) -> Cause | None:
    more = _OPEN_KEEPS if kinds.DISK in facts.open else 1.0
    said = []
    disks = {
        "the spool's disk": (("disk_free_bytes",), ("disk_total_bytes",)),
        "the Engine's disk": (("host", "engine_disk", "free_bytes"), ("host", "engine_disk", "total_bytes")),
    }
    for name, (free_at, total_at) in disks.items():
        free, total = heard.number(*free_at), heard.number(*total_at)
        border = float(rules.disk_free_bytes)
        if total is not None:
            border = min(border, _SMALL_DISK * total)
        if free is not None and free < border * more:
            said.append(f"{free / 2**20:.0f} MiB free on {name}")
    if heard.says("host", "card", "read_only"):
        said.append("the card is read-only: the kernel met an error")
    if (heard.number("host", "card", "pre_eol") or 0) >= 3:
        said.append("the card has hardly any spare blocks")
    return _cause(kinds.DISK, None, "; ".join(said)) if said else None


def _heat(heard: Heard, facts: Facts, rules: Rules) -> Cause | None:
    border = rules.heat_celsius - (_COOLER if kinds.HEAT in facts.open else 0.0)
    degrees = heard.number("temperature")
    return None if degrees is None or degrees < border else _cause(kinds.HEAT, None, f"{degrees:.0f} degrees Celsius")


def _power(heard: Heard) -> Cause | None:
    if not heard.says("host", "power", "undervoltage"):
        return None
    slow = " and slowed down" if heard.says("host", "power", "throttled") else ""
    return _cause(kinds.POWER, None, f"undervoltage{slow}")


def _clock(heard: Heard, facts: Facts, rules: Rules) -> Cause | None:
    border = rules.clock_seconds / (_OPEN_KEEPS if kinds.CLOCK in facts.open else 1.0)
    offset = heard.number("clock", "cloud_offset")
    if offset is not None and abs(offset) >= border:
        return _cause(kinds.CLOCK, None, f"{_span(abs(offset))} {'ahead' if offset > 0 else 'behind'}")
    if offset is None and heard.says("clock", "synchronised") is False:
        return _cause(kinds.CLOCK, None, "not synchronised")
    return None


def _other(heard: Heard, facts: Facts) -> Cause | None:
    if heard.word("state") != "degraded":
        return None
    camera_said = (heard.word("camera", "state") or "ok") != "ok"
    said = _OURS if camera_said else ()
    lines = [f"{part}: {what}" if what else part for part, what in heard.reasons if part not in said]
    if not lines and camera_said:
        return None
    return _cause(kinds.OTHER, None, "; ".join(lines) or "it says degraded, and not why")


def _failures(facts: Facts, rules: Rules) -> Cause | None:
    run = in_a_row(facts.outcomes, 0 if kinds.FAILURES in facts.open else facts.excused)
    # an open one stays until a picture is there
    if len(run) < (1 if kinds.FAILURES in facts.open else rules.failures_in_a_row):
        return None
    reasons = list(dict.fromkeys(one.reason or one.status for one in run))
    said = f"the last {len(run)} without a picture: {', '.join(reasons[-3:])}"
    return _cause(kinds.FAILURES, None, said, remedy(reasons[-1]))


def in_a_row(outcomes: Sequence[Ended], after: int) -> list[Ended]:
    """The newest outcomes without a picture, back to the last picture or to the seq `after`; oldest first."""
    run: list[Ended] = []
    for one in reversed(outcomes):
        if one.status == "executed" or one.seq <= after:
            break
        run.append(one)
    return run[::-1]


def _quality(facts: Facts) -> Cause | None:
    said = facts.pictures
    if said is None:
        return None
    return _cause(kinds.QUALITY, said.since, f"{said.state}: {said.reason}", remedies.remedy(said.state))


def _slot_missed(facts: Facts, rules: Rules) -> Cause | None:
    slot = facts.slot
    if slot is None or facts.interval is None or facts.interval < rules.slots_from:
        return None
    is_open = kinds.SLOT_MISSED in facts.open
    if (slot.seq <= facts.excused and not is_open) or not in_a_row(facts.outcomes, 0):
        return None
    when = slot.scheduled_for.strftime("%Y-%m-%d %H:%M UTC")
    return _cause(kinds.SLOT_MISSED, slot.scheduled_for, f"{when}: {slot.reason or 'no picture'}", remedy(slot.reason))


def last_silent(outcomes: Iterable[Ended]) -> int:
    """The seq of the newest outcome that the cloud alone said of a device it did not hear; 0: none."""
    return max((one.seq for one in outcomes if one.reason == Reason.DEVICE_SILENT), default=0)


def _span(seconds: float) -> str:
    for name, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
