"""AlertEngine: when an alert opens and when it is cleared. Free of I/O; the caller says what time it is.

Two clocks: `now` is what people read, `at` are seconds that nobody sets (time.monotonic, or a bench's own). All that
must last is counted on `at` and only while the engine looks on: a clock that is put ahead, or a cloud that was away for
an hour, finds nobody silent.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from visant_cloud.alerts import kinds, states
from visant_cloud.alerts.heard import Heard
from visant_cloud.alerts.kinds import KINDS, OF_A_DEVICE
from visant_cloud.alerts.rules import DEFAULT, Rules
from visant_cloud.alerts.states import Cause, Ended, Facts, Health, Pictures, Slot, State

_AWAY = 30.0
"""Seconds: whoever is back sooner was never away."""
RETURN_GRACE = 200.0
"""Seconds after a return in which outcomes are still of the absence: 120 s of deadline, 60 of grace, and some."""


class Key(NamedTuple):
    """What can have one open alert."""

    organisation_id: str
    subject: str
    """A device's key, `/channel/7` or `/cloud`."""
    kind: str


class Head(NamedTuple):
    """What is read of every device at every round. Another one means: read the rest."""

    device_key: str
    organisation_id: str
    site: str | None
    active: bool
    changes: int
    """Counted up whenever its telemetry or its outcomes change."""


class Stated(NamedTuple):
    """What programs were told of a device by events."""

    connected: bool = False
    state: str = "never_connected"
    causes: tuple[str, ...] = ()
    """Kinds, sorted."""


NOTHING = Stated()
"""Of a new device."""


@dataclass(frozen=True)
class Told:
    """The rest."""

    head: Head
    created_at: datetime | None = None
    last_seen_at: datetime | None = None
    telemetry: Mapping[str, Any] | None = None
    telemetry_at: datetime | None = None
    outcomes: tuple[Ended, ...] = ()
    interval: float | None = None
    slot: Slot | None = None
    pictures: Pictures | None = None
    stated: Stated = NOTHING


@dataclass(frozen=True)
class Opened:
    """An alert is to be opened."""

    key: Key
    site: str | None
    cause: Cause


@dataclass(frozen=True)
class Cleared:
    """An alert is to be cleared."""

    key: Key


Change = Opened | Cleared


@dataclass(frozen=True)
class News:
    """What is now so of a device, and was told otherwise or not yet."""

    device_key: str
    before: Stated
    now: Stated
    health: Health


@dataclass
class _Device:
    told: Told
    heard_at: float
    """When its newest telemetry was first seen here."""
    absent_at: float | None = None
    """Since when it has no stream, as far as was seen here."""
    left_at: datetime | None = None
    """When it was last seen to leave."""
    heard_here: bool = False
    """Whether telemetry came since this engine began."""
    excused: int = 0
    grace_until: float = 0.0
    look_at: float = 0.0
    """When time alone may make a difference."""
    stated: Stated = NOTHING
    """What was told."""
    state: State = "never_connected"
    """As of the last look."""


@dataclass
class AlertEngine:
    """Remembers what it saw; whoever takes over begins anew, and nothing but time is lost.

    `step` opens and clears nothing by itself: the caller stores what it returns and says at the next step which alerts
    are open. What could not be stored is returned again.
    """

    _devices: dict[str, _Device] = field(default_factory=dict)
    _connected: frozenset[str] = frozenset()
    _since: dict[Key, float] = field(default_factory=dict)
    """Since when the cause of an alert that is not open lasts."""
    _gone: dict[Key, float] = field(default_factory=dict)
    """Since when that of an open one is gone."""
    _news: dict[str, News] = field(default_factory=dict)

    def unknown(self, heads: Iterable[Head]) -> list[str]:
        """The keys of those of which more must be read before the next step; forgets devices that are no more."""
        wanted, there = [], set()
        for head in heads:
            there.add(head.device_key)
            known = self._devices.get(head.device_key)
            if known is None or known.told.head != head:
                wanted.append(head.device_key)
        for key in self._devices.keys() - there:
            del self._devices[key]
            self._news.pop(key, None)
        return wanted

    def news(self, limit: int) -> list[News]:
        """What differs from what was told, of so many devices at most, in the order of their keys."""
        return [self._news[key] for key in sorted(self._news)[:limit]]

    def stated(self, news: Iterable[News]) -> None:
        """These were told."""
        for one in news:
            self._news.pop(one.device_key, None)
            if one.device_key in self._devices:
                self._devices[one.device_key].stated = one.now

    def step(
        self,
        now: datetime,
        at: float,
        told: Iterable[Told] = (),
        connected: Collection[str] = (),
        open_: Iterable[Key] = (),
        rules: Mapping[str, Rules] | None = None,
        others: Mapping[Key, Cause] | None = None,
    ) -> list[Change]:
        """One look at everything. `told`: devices that are new or changed. `others`: causes that are no device's.

        `rules`: organisation -> its own. A step costs what changed, is open or about to be, and a comparison a device.
        """
        chosen = rules or {}
        look = self._hear(told, at) | self._moved(frozenset(connected), at, now)
        opened: dict[str, set[str]] = {}
        rest: set[Key] = set()
        all_open = set(open_)
        self._gone = {key: since for key, since in self._gone.items() if key in all_open}
        for key in all_open:
            if key.subject in self._devices:
                opened.setdefault(key.subject, set()).add(key.kind)
            else:
                rest.add(key)
        waiting = {key.subject for key in self._since if key.subject in self._devices}
        look |= opened.keys() | waiting
        look |= {name for name, device in self._devices.items() if device.look_at <= at}
        changes: list[Change] = []
        for name in sorted(look):
            device = self._devices[name]
            mine = chosen.get(device.told.head.organisation_id, DEFAULT)
            changes += self._device(device, now, at, opened.get(name, set()), mine, waiting=name in waiting)
        return changes + self._others(at, rest, others or {}, chosen)

    def counts(self) -> dict[str, dict[State, int]]:
        """organisation_id -> state -> devices in it, as of the last step."""
        found: dict[str, dict[State, int]] = {}
        for device in self._devices.values():
            mine = found.setdefault(device.told.head.organisation_id, dict.fromkeys(states.STATES, 0))
            mine[device.state] += 1
        return found

    def _hear(self, told: Iterable[Told], at: float) -> set[str]:
        heard = set()
        for one in told:
            key = one.head.device_key
            heard.add(key)
            known = self._devices.get(key)
            if known is None:
                absent = None if key in self._connected else at
                excused = states.last_silent(one.outcomes)
                self._devices[key] = _Device(one, at, absent, excused=excused, stated=one.stated)
                continue
            if one.telemetry_at != known.told.telemetry_at:
                known.heard_at, known.heard_here = at, True
            known.told = one
        return heard

    def _moved(self, connected: frozenset[str], at: float, now: datetime) -> set[str]:
        moved = {key for key in connected ^ self._connected if key in self._devices}
        for key in moved:
            device = self._devices[key]
            if key not in connected:
                device.absent_at, device.left_at = at, now
                continue
            if device.absent_at is not None and at - device.absent_at >= _AWAY:
                device.grace_until = at + RETURN_GRACE
                device.heard_at = at  # nobody could say anything meanwhile
            device.absent_at = None
        self._connected = connected
        return moved

    def _device(
        self, device: _Device, now: datetime, at: float, open_: set[str], rules: Rules, *, waiting: bool
    ) -> list[Change]:
        told, head = device.told, device.told.head
        absent = 0.0 if device.absent_at is None else at - device.absent_at
        if (absent >= _AWAY or at < device.grace_until) and told.outcomes:
            device.excused = told.outcomes[-1].seq
        # opened by an engine that saw more than this one: it stays until a report comes
        taken_over = kinds.NO_TELEMETRY in open_ and not device.heard_here
        age = float("inf") if taken_over else at - device.heard_at
        facts = Facts(
            active=head.active,
            connected=device.absent_at is None,
            created_at=told.created_at,
            last_seen_at=device.left_at or told.last_seen_at,
            absent=absent,
            telemetry=told.telemetry,
            telemetry_at=told.telemetry_at,
            telemetry_age=age,
            outcomes=told.outcomes,
            excused=device.excused,
            interval=told.interval,
            slot=told.slot,
            pictures=told.pictures,
            open=open_,
        )
        found = states.causes(facts, now, rules)
        device.look_at = _next_look(device, facts)
        health = states.of_causes(facts, found, now, {})
        device.state = health.state
        self._note_state(device, facts, health)
        changes: list[Change] = []
        if not (found or open_ or waiting):
            return changes  # most devices, most of the time
        for kind in OF_A_DEVICE:
            key = Key(head.organisation_id, head.device_key, kind)
            cause, is_open = found.get(kind), kind in open_
            if is_open and cause is None and _unknown(kind, found):
                self._gone.pop(key, None)
                continue
            because = KINDS[kind].because
            follows = not (open_.isdisjoint(because) and found.keys().isdisjoint(because))
            if not is_open and (follows or (kind in _OF_TRIGGERS and not facts.connected)):
                cause = None  # of who is away nothing else is expected
            changes += self._settle(key, head.site, cause, at, is_open, rules, at_once=not head.active)
        return changes

    def _note_state(self, device: _Device, facts: Facts, health: Health) -> None:
        """Who is back within _AWAY was never away; who was silent stays so until it is back."""
        told, key = device.stated, device.told.head.device_key
        connected = facts.connected or (told.connected and facts.absent < _AWAY)
        state, kinds_ = health.state, tuple(sorted(one.kind for one in health.causes))
        if told.state == "silent" and not facts.connected and facts.active:
            state, kinds_ = "silent", told.causes
        stated = Stated(connected, state, kinds_)
        if stated == told:
            self._news.pop(key, None)
        else:
            self._news[key] = News(key, told, stated, health)

    def _others(
        self, at: float, open_: Collection[Key], found: Mapping[Key, Cause], rules: Mapping[str, Rules]
    ) -> list[Change]:
        changes: list[Change] = []
        waiting = {key for key in self._since if key.subject not in self._devices}
        for key in sorted({*open_, *found, *waiting}):
            mine = rules.get(key.organisation_id, DEFAULT)
            gone = key.kind in OF_A_DEVICE  # of a device that is no more
            changes += self._settle(key, None, found.get(key), at, key in open_, mine, at_once=gone)
        return changes

    def _settle(
        self, key: Key, site: str | None, cause: Cause | None, at: float, is_open: bool, rules: Rules, *, at_once: bool
    ) -> list[Change]:
        if key.kind in rules.off:
            cause, at_once = None, True
        if cause is not None:
            self._gone.pop(key, None)
            if is_open:
                self._since.pop(key, None)
            elif at - self._since.setdefault(key, at) >= rules.hold_of(key.kind):
                return [Opened(key, site, cause)]
            return []
        self._since.pop(key, None)
        if not is_open:
            self._gone.pop(key, None)
        elif at_once or at - self._gone.setdefault(key, at) >= KINDS[key.kind].clear:
            return [Cleared(key)]
        return []


_OF_TRIGGERS = (kinds.FAILURES, kinds.SLOT_MISSED)


def _unknown(kind: str, found: Mapping[str, Cause]) -> bool:
    """Whether nobody knows if this is still so: an open alert then stays as it is."""
    if kinds.SILENT in found:
        return kind != kinds.SILENT
    return kinds.NO_TELEMETRY in found and kind not in (kinds.NO_TELEMETRY, *_OF_TRIGGERS)


def _next_look(device: _Device, facts: Facts) -> float:
    """When time alone may bring a cause: silence, telemetry that stays away, the end of a grace."""
    metered = Heard(facts.telemetry).metered
    if device.absent_at is not None:
        # past its silence it waits among what is about to open, or is open
        silent_at = device.absent_at + (states.SILENCE_METERED if metered else states.SILENCE)
        if device.stated.connected and facts.absent < _AWAY:
            return device.absent_at + _AWAY
        return silent_at if facts.absent < silent_at - device.absent_at and facts.active else float("inf")
    if facts.telemetry is None:
        return float("inf")
    stale_at = device.heard_at + (states.STALE_METERED if metered else states.STALE)
    return stale_at if facts.telemetry_age < stale_at - device.heard_at else float("inf")
