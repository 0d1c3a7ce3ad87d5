"""From sunrise to sunset at a place, as instants: no zone and no calendar day is asked, so no pole is a special case.

The sun is up while its centre is less than 0.833 degrees below the horizon: its radius and the air's refraction
(https://gml.noaa.gov/grad/solcalc/glossary.html, sunrise).
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from astral import Observer
from astral.sun import elevation, noon

UP = -0.833
"""Degrees of elevation."""
_EXACT = timedelta(seconds=1)
_HALF = timedelta(hours=12, minutes=1)
"""From a noon to before the next one: noons are a day and at most half a minute apart."""


def light_from(latitude: float, longitude: float, moment: datetime, days: int = 400) -> datetime | None:
    """The first instant from `moment` on at which the sun is up there; None where that is not within so many days."""
    day = moment.astimezone(UTC).date() - timedelta(days=2)
    for _ in range(days + 2):
        found = _around_noon(latitude, longitude, day)
        if found is not None and found[1] > moment:
            return max(found[0], moment)
        day += timedelta(days=1)
    return None


@lru_cache(maxsize=2000)
def _around_noon(latitude: float, longitude: float, day: date) -> tuple[datetime, datetime] | None:
    """Sunrise and sunset about one noon; where the sun does not set, the middle of the nights; None: a dark day."""
    there = Observer(latitude, longitude)

    def up(moment: datetime) -> bool:
        return elevation(there, moment, with_refraction=False) > UP

    middle = noon(there, day).astimezone(UTC)
    if not up(middle):
        return None
    return _edge(up, middle - _HALF, middle), _edge(up, middle + _HALF, middle)


def _edge(up: Callable[[datetime], bool], far: datetime, middle: datetime) -> datetime:
    if up(far):
        return far
    dark, light = far, middle
    while abs(light - dark) > _EXACT:
        between = dark + (light - dark) / 2
        dark, light = (dark, between) if up(between) else (between, light)
    return light
