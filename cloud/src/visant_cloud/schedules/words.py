"""A rule and its slots in plain words, days on which the clocks are set above all."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from visant_cloud.schedules.cadence import next_after
from visant_cloud.schedules.rule import Rule
from visant_cloud.schedules.zones import Change, change_on

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Firing:
    """One slot as people read it."""

    at: datetime
    local: datetime
    text: str
    """`Sunday 28 March 2027, 03:00:00, UTC+02:00`"""
    note: str | None
    """What is special about it: the clocks are set on this day."""


def firing(rule: Rule, slot: datetime) -> Firing:
    """A slot of this rule in the rule's zone."""
    local = slot.astimezone(ZoneInfo(rule.zone))
    offset = local.strftime("%z")
    text = f"{local:%A} {local.day} {local:%B %Y, %H:%M:%S}, UTC{offset[:3]}:{offset[3:5]}"
    return Firing(slot.astimezone(UTC), local, text, _note(rule, local))


def _note(rule: Rule, local: datetime) -> str | None:
    zone = ZoneInfo(rule.zone)
    change = change_on(zone, local.date())
    if change is None:
        return None
    said = _set_by(change)
    wall = local.replace(tzinfo=None, fold=0)
    if change.forward:
        if rule.cron is not None and local == change.at and not _names(rule.cron, wall):
            said += " The time that the rule names does not exist then: it fires when the clocks have been set."
        return said
    if not change.after <= wall < change.before:
        return said
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if local.fold:
        return f"{said} {wall:%H:%M} comes twice: this is the second time."
    again = next_after(rule, second - _TICK) == second
    return f"{said} {wall:%H:%M} comes twice: {'this is the first time' if again else 'it fires the first time only'}."


def _set_by(change: Change) -> str:
    if change.forward:
        return (
            f"The clocks are put forward on this day: after {change.before:%H:%M} comes {change.after:%H:%M} at once."
        )
    return f"The clocks are put back on this day: at {change.before:%H:%M} it is {change.after:%H:%M} again."


def _names(cron: str, wall: datetime) -> bool:
    """Whether the line names this time of day of this day."""
    return next(CronSim(cron, wall - _TICK), None) == wall


def rule_in_words(rule: Rule) -> str:
    """`Every 15 min, on mon, tue, wed, thu, fri, from 08:00 to 18:00; times of Europe/Berlin.`"""
    parts = [_cadence(rule)]
    if rule.weekdays:
        parts.append(f"on {', '.join(rule.weekdays)}")
    if rule.windows:
        parts.append(" and ".join(f"from {one.begin:%H:%M} to {one.end:%H:%M}" for one in rule.windows))
    if rule.daylight is not None:
        parts.append(f"while the sun is up at {rule.daylight.latitude:g}, {rule.daylight.longitude:g}")
    if rule.pauses:
        count = len(rule.days_off)
        parts.append(f"not in {count} pause{'s' if count > 1 else ''}")
    said = ", ".join(parts)
    if rule.cron is not None or rule.confined:
        said += f"; times of {rule.zone}"
    if rule.jitter_seconds:
        said += f"; each device by up to {length(rule.jitter_seconds)} later, always by the same"
    return said + "."


def _cadence(rule: Rule) -> str:
    if rule.interval_seconds is not None:
        return f"Every {length(rule.interval_seconds)}"
    assert rule.cron is not None
    if rule.never:
        return f"Never (cron {rule.cron}: no such day in these months)"
    return f"{CronSim(rule.cron, datetime(2026, 1, 1)).explain()} (cron {rule.cron})"


def length(seconds: float) -> str:
    """`90 s`, `15 min`, `1 h`, `2 days`: exact, in the largest unit that is."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return "1 day" if (size, count) == (86400, 1) else f"{count} {name}"
    return f"{seconds:g} s"
