"""Times of day of a zone, and the days on which its clocks are set."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Change(NamedTuple):
    """The clocks of a zone are set: at this moment, from one time of day to another."""

    at: datetime
    before: datetime
    """What they would show, without a zone."""
    after: datetime
    """What they show instead."""

    @property
    def forward(self) -> bool:
        """Whether times of day are left out; else they come twice."""
        return self.after > self.before


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the clocks of the zone show this, UTC. Shown twice: the first time. Never: when they are set past it."""
    wall = datetime.combine(day, at)
    found = wall.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # `found` is as far past the change as `wall` is past its begin: https://peps.python.org/pep-0495/ (a gap, fold=0)
    gap = change(zone, found - timedelta(days=2), found)
    return found if gap is None else gap.at


def change(zone: ZoneInfo, begin: datetime, end: datetime) -> Change | None:
    """The last time in (begin, end] at which the clocks are set; None where they are not."""
    if begin.astimezone(zone).utcoffset() == end.astimezone(zone).utcoffset():
        return None
    old, new = begin.astimezone(UTC), end.astimezone(UTC)
    offset = new.astimezone(zone).utcoffset()
    while new - old > timedelta(seconds=1):
        middle = (old + (new - old) / 2).replace(microsecond=0)
        middle = middle if middle > old else old + timedelta(seconds=1)
        if middle.astimezone(zone).utcoffset() == offset:
            new = middle
        else:
            old = middle
    at = new.replace(microsecond=0)
    before = (at - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None) + timedelta(seconds=1)
    return Change(at, before, at.astimezone(zone).replace(tzinfo=None))


@lru_cache(maxsize=1000)
def change_on(zone: ZoneInfo, day: date) -> Change | None:
    """The time on this day of the zone at which its clocks are set; None on all but a few days of a year."""
    noon = datetime.combine(day, time(12), zone).astimezone(UTC)
    found = change(zone, noon - timedelta(hours=14), noon + timedelta(hours=14))
    return found if found is not None and day in (found.before.date(), found.after.date()) else None
