"""What the pages show, worked out before a template sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from markupsafe import Markup
from pydantic import ValidationError

from visant_cloud.alerts import kinds, words
from visant_cloud.alerts.states import Cause
from visant_cloud.store.alerts import Alert
from visant_cloud.store.captures import Capture
from visant_cloud.store.counters import Figures
from visant_cloud.store.device_states import DeviceState
from visant_cloud.store.devices import Device
from visant_cloud.store.fleet import PAGE, Sums, Wish
from visant_cloud.store.schedules import Schedule
from visant_cloud.store.triggers import Trigger
from visant_cloud.views import as_json
from visant_cloud.views.ledger_json import percent
from visant_cloud.views.stages import StageRow, stages
from visant_contract.outcome import remedy
from visant_contract.telemetry import Telemetry

STATE_WORDS = {
    "connected": "Connected",
    "degraded": "Degraded",
    "offline": "Offline",
    "never_seen": "Never seen",
    "inactive": "Not active",
}
GAP_WORDS = {"late": "after its deadline", "not_fresh": "older than its slot", "not_useful": "shows nothing of use"}
_LATE = 30.0
"""Seconds between exposure and arrival from which the page speaks of a late picture."""


def success(executed: int, failed: int, expired: int) -> float | None:
    """Share of the ended triggers that gave a picture, or None."""
    ended = executed + failed + expired
    return None if ended == 0 else executed / ended


def troubled(state: str, subscribers: int, share: float | None) -> bool:
    """Whether a person should look."""
    shared = subscribers > 1  # two devices with one id each take every picture
    return state in ("degraded", "offline") or shared or bool(share is not None and share < 0.9)


@dataclass(frozen=True)
class DeviceView:
    """One device as the pages show it; the figures are of today and yesterday (UTC)."""

    row: Device
    last: DeviceState
    subscribers: int
    figures: Figures
    waiting: int = 0
    """Under way; the fleet's page does not say it of each."""
    schedule: Schedule | None = None
    causes: list[Cause] = field(default_factory=list)
    """Why it is not ok."""

    @property
    def state(self) -> str:
        """One of as_json.STATES."""
        seen = self.last.last_seen_at is not None
        return as_json.state(self.row.active, self.subscribers, degraded=self.last.degraded, seen=seen)

    @property
    def word(self) -> str:
        """The state in words."""
        return STATE_WORDS[self.state]

    @property
    def access(self) -> str:
        """How it gets in: as_json.access."""
        return as_json.access(self.row)

    @property
    def success(self) -> float | None:
        """Share of the ended triggers that gave a picture, or None."""
        return success(self.figures.executed, self.figures.failed, self.figures.expired)

    @property
    def troubled(self) -> bool:
        """Whether a person should look."""
        return troubled(self.state, self.subscribers, self.success)

    @property
    def strip(self) -> list[tuple[str, str | None]]:
        """(status, reason) of the last outcomes, oldest of them first."""
        return self.last.last_outcomes

    @property
    def health(self) -> Telemetry | None:
        """What the device told last, read again by the rules of today: earlier versions stored what they refuse."""
        try:
            return None if self.last.telemetry is None else Telemetry.model_validate(self.last.telemetry)
        except ValidationError:
            return None

    @property
    def dead(self) -> bool:
        """Whether it gives no pictures, though it is there."""
        return any(cause.kind == kinds.CAMERA for cause in self.causes)


NEEDS = 200
"""Open alerts that a page reads."""
_NEEDS_SHOWN = 12


@dataclass(frozen=True)
class Need:
    """What needs a person, in one line: an alert, or those of a site that have one cause."""

    alerts: list[Alert]

    @property
    def first(self) -> Alert:
        """The one that tells since when and what to do."""
        return min(self.alerts, key=lambda one: one.since or one.opened_at)

    @property
    def numbers(self) -> str:
        """Of those that nobody has acknowledged, as the button carries them."""
        return ",".join(str(one.alert_id) for one in self.alerts if one.acknowledged_at is None)

    @property
    def seen_by(self) -> str | None:
        """Who acknowledged it."""
        return None if self.numbers else self.first.acknowledged_by


@dataclass(frozen=True)
class Needs:
    """What a page begins with. `more`: open alerts that are not among those shown."""

    shown: list[Need]
    more: int


def needs(found: list[Alert], count: int) -> Needs:
    """Of `count` open alerts the `found` ones, in their order: what a site has at once is one. Pure."""
    groups: dict[object, list[Alert]] = {}
    for one in found:
        by_site = one.site is not None and one.kind in kinds.KINDS and kinds.KINDS[one.kind].by_site
        seen = one.acknowledged_at is not None
        groups.setdefault((one.kind, one.site, seen) if by_site else one.alert_id, []).append(one)
    shown = [Need(group) for group in groups.values()][:_NEEDS_SHOWN]
    return Needs(shown, count - sum(len(one.alerts) for one in shown))


@dataclass(frozen=True)
class FleetView:
    """All devices in figures, and those of one page."""

    wish: Wish
    sums: Sums
    shown: list[DeviceView]

    @property
    def pages(self) -> int:
        """How many there are."""
        return max(1, -(-self.sums.matching // PAGE))

    def query(self, page: int) -> str:
        """What an address of that page ends in; empty for the first of all."""
        chosen = {"page": page if page > 1 else "", "words": self.wish.words, "kind": self.wish.kind}
        given = {name: value for name, value in chosen.items() if value}
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True)
class Line:
    """One line of a device's ledger."""

    trigger: Trigger
    capture: Capture | None
    latency_ms: float | None
    remedy: str | None
    gap: str | None = None
    """Why the picture of a slot does not count, in words."""
    stages: Sequence[StageRow] = ()
    """Where its time went."""

    @property
    def late(self) -> float | None:
        """Seconds from exposure to arrival where that is long."""
        if self.capture is None:
            return None
        seconds = (self.capture.received_at - self.capture.captured_at).total_seconds()
        return seconds if seconds >= _LATE else None


def line(row: Trigger, capture: Capture | None) -> Line:
    """A trigger with its picture."""
    gap = GAP_WORDS.get(row.gap or "", row.gap)
    return Line(row, capture, as_json.latency_ms(row, capture), remedy(row.reason), gap, stages(row, capture))


def local_time(value: datetime | str | None, missing: str = "-") -> Markup:
    """A time element: UTC as it is sent, turned into the reader's own time by the page's script."""
    if value is None:
        return Markup("<span class=dim>{}</span>").format(missing)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return Markup('<time datetime="{}" title="{} UTC">{} UTC</time>').format(
        moment.isoformat(timespec="milliseconds"), f"{moment:%Y-%m-%d %H:%M:%S}", f"{moment:%d %b %H:%M:%S}"
    )


def picture_age(value: datetime) -> Markup:
    """The same, which the page's script turns into an age that grows: `5 min old`."""
    return Markup('<time class="age" data-age datetime="{}" title="{} UTC">{} UTC</time>').format(
        value.isoformat(timespec="milliseconds"), f"{value:%Y-%m-%d %H:%M:%S}", f"{value:%d %b %H:%M:%S}"
    )


def span(seconds: float | None) -> str:
    """A length of time for people: `0.4 s`, `35 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if seconds is None:
        return "-"
    for limit, unit, name in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if abs(seconds) < limit:
            value = seconds / unit
            return f"{value:.1f} {name}" if abs(value) < 10 and value != int(value) else f"{value:.0f} {name}"
    return f"{seconds / 86400:.1f} days"


def size(count: float | None) -> str:
    """Bytes for people, decimal units."""
    if count is None:
        return "-"
    value = float(count)
    for name in ("bytes", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {name}" if name == "bytes" or value >= 10 else f"{value:.1f} {name}"
        value /= 1000
    return f"{value:.1f} TB"


@dataclass(frozen=True)
class Operation:
    """One endpoint of the API as `/docs` shows it."""

    method: str
    path: str
    text: str
    parameters: list[dict[str, Any]]
    body: dict[str, Any] | None
    answers: dict[str, str]


def operations(description: dict[str, Any]) -> dict[str, list[Operation]]:
    """tag -> endpoints, out of an OpenAPI description."""
    groups: dict[str, list[Operation]] = {tag["name"]: [] for tag in description.get("tags", [])}
    for path, methods in description["paths"].items():
        for method, one in methods.items():
            body = one.get("requestBody", {}).get("content", {})
            schema = next(iter(body.values()))["schema"] if body else None
            answers = {
                code: _named(answer, description).get("description", "") for code, answer in one["responses"].items()
            }
            found = Operation(
                method.upper(),
                path,
                one.get("description", ""),
                one.get("parameters", []),
                _resolved(schema, description),
                answers,
            )
            groups.setdefault(one.get("tags", ["other"])[0], []).append(found)
    return groups


def _resolved(schema: dict[str, Any] | None, description: dict[str, Any]) -> dict[str, Any] | None:
    """The schema itself where `schema` only names one."""
    if schema is None:
        return None
    for part in (schema, *schema.get("anyOf", [])):
        if "$ref" in part:
            return _named(part, description)
    return schema


def _named(part: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    """What `part` names by a reference, or `part` itself."""
    if "$ref" not in part:
        return part
    found: dict[str, Any] = description
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def with_code(text: str) -> Markup:
    """Plain text in which `back ticks` set a command."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else Markup("{}").format(part)
        for number, part in enumerate(parts)
    )


def install(environment: Environment) -> None:
    """Makes the formats above known to the templates."""
    filters: dict[str, Any] = {"local_time": local_time, "span": span, "size": size, "with_code": with_code}
    filters |= {"in_words": words.title, "who": words.who, "picture_age": picture_age}
    filters["useful_percent"] = lambda slots: percent(slots.useful, slots.due)
    environment.filters.update(filters)
