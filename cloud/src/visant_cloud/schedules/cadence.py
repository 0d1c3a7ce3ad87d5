"""The slots that a rule gives, by rule and time alone: two processes that ask find the same.

A slot is a time that the interval or the cron line names, on a day and at a time of day that the rule allows.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim

from visant_cloud.schedules.daylight import light_from
from visant_cloud.schedules.rule import WEEKDAYS, Rule
from visant_cloud.schedules.zones import change, instant

HORIZON = timedelta(days=50 * 366)
"""So far ahead a slot is looked for: 29 February on one weekday comes every 28 years, every 40 over 2100."""
LOOKS = 800
"""So many times that do not fit are looked at one after the other: each is on another day, or in another window."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class Passed(NamedTuple):
    """The slots of a stretch of time."""

    last: datetime
    before: datetime | None
    """The one before the last, where there are several."""
    number: int
    following: datetime | None
    """The first that is not counted."""


def next_after(rule: Rule, after: datetime) -> datetime | None:
    """The first slot after `after`, UTC. None: never again, as far as HORIZON and LOOKS reach."""
    return next(slots(rule, after + _TICK), None)


def passed(rule: Rule, first: datetime, now: datetime, limit: int) -> Passed:
    """The slots from `first`, which is one, up to `now`, but at most `limit` of them."""
    if rule.interval_seconds is not None and not rule.confined and rule.daylight is None:
        step = timedelta(seconds=rule.interval_seconds)
        more = (now - first) // step
        last = first + more * step
        return Passed(last, last - step if more else None, more + 1, last + step)
    before, last, count = None, first, 1
    following = None
    for following in slots(rule, first + _TICK):
        if following > now or count == limit:
            return Passed(last, before, count, following)
        before, last, count = last, following, count + 1
    return Passed(last, before, count, None)


def slots(rule: Rule, begin: datetime) -> Iterator[datetime]:
    """Slots from `begin` on, each later than the one before; ends where `next_after` says never."""
    if rule.never:
        return
    moment = begin.astimezone(UTC)
    end, looked = moment + HORIZON, 0
    times = _times(rule, moment)
    while True:
        found = next(times, None)
        if found is None or found > end:
            return
        fits = allowed_from(rule, found)
        if fits == found:
            yield found
            end, looked = found + HORIZON, 0
            continue
        looked += 1
        if fits is None or looked == LOOKS:
            return
        times = _times(rule, fits)


def allowed_from(rule: Rule, moment: datetime) -> datetime | None:
    """`moment` where the rule's days, windows, pauses and daylight allow it; else a later one, before which they do
    not; None: never.
    """
    allowed = _open_from(rule, moment) if rule.confined else moment
    if allowed == moment and rule.daylight is not None:
        return light_from(rule.daylight.latitude, rule.daylight.longitude, moment)
    return allowed


def _times(rule: Rule, begin: datetime) -> Iterator[datetime]:
    """What the interval or the cron line names, from `begin` on."""
    if rule.interval_seconds is not None:
        step = timedelta(seconds=rule.interval_seconds)
        found = _EPOCH - (_EPOCH - begin) // step * step
        while True:
            yield found
            found += step
    assert rule.cron is not None
    by_clock = not any(field.startswith("*") for field in rule.cron.split()[:2])
    yield from (_times_of_day if by_clock else _all_along)(rule.cron, ZoneInfo(rule.zone), begin)


# The library is asked about times of day without a zone alone, and the days on which the clocks are set are ours: of
# its own, the half hour of Lord Howe Island loses slots. Both rules are those of Debian's cron(8).


def _times_of_day(cron: str, zone: ZoneInfo, begin: datetime) -> Iterator[datetime]:
    """Of a line that names its hours: each once a day, whatever the clocks do (zones.instant)."""
    last = begin - _TICK
    for wall in CronSim(cron, last.astimezone(zone).replace(tzinfo=None)):
        found = instant(wall.date(), wall.time(), zone)
        if found > last:  # not so in an hour that comes twice, the second time
            last = found
            yield found


def _all_along(cron: str, zone: ZoneInfo, begin: datetime) -> Iterator[datetime]:
    """Of a line with a star for minute or hour: whenever the clocks show what it names, twice in an hour that comes
    twice.
    """
    while True:
        local = begin.astimezone(zone)
        ahead, last = local.utcoffset() or timedelta(), begin
        for wall in CronSim(cron, local.replace(tzinfo=None) - _TICK):
            found = wall.replace(tzinfo=UTC) - ahead
            if found.astimezone(zone).utcoffset() != ahead:
                set_at = change(zone, last, found)
                assert set_at is not None
                begin = set_at.at
                break
            last = found
            yield found
        else:
            return


def _open_from(rule: Rule, moment: datetime) -> datetime | None:
    """The first instant from `moment` on that weekdays, windows and pauses allow."""
    zone = ZoneInfo(rule.zone)
    weekdays = {WEEKDAYS.index(name) for name in rule.weekdays or WEEKDAYS}
    day = moment.astimezone(zone).date() - _DAY  # its window may go over midnight
    for _ in range(10 + 8 * len(rule.pauses)):
        off = _pause_on(rule, day)
        if off is not None:
            day = off + _DAY
        if day.weekday() in weekdays:
            for begin, end in _spans(rule, day, zone):
                if end > moment:
                    return max(begin, moment)
        day += _DAY
    return None


def _pause_on(rule: Rule, day: date) -> date | None:
    """The last day of the pause that this day is in."""
    place = bisect_left(rule.days_off, day, key=lambda pause: pause[1])
    if place < len(rule.days_off) and rule.days_off[place][0] <= day:
        return rule.days_off[place][1]
    return None


def _spans(rule: Rule, day: date, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """The windows that begin on this day, in order."""
    midnight = datetime.min.time()
    if not rule.windows:
        return [(instant(day, midnight, zone), instant(day + _DAY, midnight, zone))]
    return sorted(
        (instant(day, one.begin, zone), instant(day if one.begin < one.end else day + _DAY, one.end, zone))
        for one in rule.windows
    )
