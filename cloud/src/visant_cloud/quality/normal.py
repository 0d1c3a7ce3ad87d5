"""What is normal of a device's pictures, hour by hour. Small, bounded, and updated with every useful picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from visant_cloud.quality.block import Scalars

HOUR = 3600.0
DAY = 24 * HOUR
FORGETS = 30 * DAY
"""Seconds without a picture after which the light of the hours is learned anew: the season is another."""
_ENVELOPE_DAYS = 21.0
"""Half-life of how far an hour once was from its mean: a weekend's dark office is known on the next weekend."""
_MEAN_DAYS = 5.0
_BEST_DAYS = 180.0
"""Half-life of the best sharpness: focus that drifts for weeks does not become normal."""
_SAME_PICTURES = 20


class Hour(NamedTuple):
    """One hour of the day (UTC: the sun knows no daylight saving time)."""

    pictures: int
    seen: float
    """Seconds since 1970."""
    low_light: float
    light: float
    high_bright: float
    bright: float
    low_detail: float
    detail: float
    sharpness: float
    """0: it was never seen with enough detail."""
    spread: float
    best: float
    noise: float


class Expected(NamedTuple):
    """Of an hour and its neighbours: what of a useful picture is not left behind."""

    pictures: int
    low_light: float
    high_bright: float
    low_detail: float
    sharpness: float | None
    """The least of the best, or None where too little is known."""
    spread: float
    noise: float


@dataclass(frozen=True)
class Normal:
    """Times in seconds since 1970."""

    size: str = ""
    """`1920x1080`: pictures of another size are of another camera, or show something else."""
    first_at: float = 0.0
    last_at: float = 0.0
    count: int = 0
    """Pictures that it was learned from."""
    hours: Mapping[int, Hour] = field(default_factory=dict)
    sums: str = ""
    """Of the last picture's tiles, in hexadecimal."""
    same: float = 0.0
    """Share of tiles that are as they were in the picture before, as a mean."""
    compared: int = 0
    still: bool = False
    """A person said that pictures that do not change are normal here."""
    run_of: str = ""
    """What the last pictures are suspected of, and how many of them in a row."""
    run: int = 0
    run_since: float = 0.0
    usual: float = 1.0
    """How far pictures agree with a view, as a mean."""
    changed: int = 0
    """Pictures in a row that agree less."""
    changed_since: float = 0.0

    @property
    def age(self) -> float:
        """Seconds over which it was learned."""
        return self.last_at - self.first_at

    def as_json(self) -> dict[str, Any]:
        """Some 3 kB."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "hours": {str(hour): [round(value, 3) for value in one] for hour, one in self.hours.items()},
        }


_PLAIN = tuple(name for name in Normal.__dataclass_fields__ if name != "hours")


def from_json(kept: Any) -> Normal:
    """What `as_json` made; nothing where another version made something else."""
    try:
        hours = {int(hour): Hour(*one) for hour, one in kept["hours"].items()}
        return Normal(**{name: kept[name] for name in _PLAIN}, hours=hours)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Normal()


def hour_of(at: float) -> int:
    """0 to 23."""
    return int(at // HOUR) % 24


def expected(normal: Normal, at: float) -> Expected | None:
    """What is normal at this time of day; None where no picture of it is known."""
    hour = hour_of(at)
    near = [normal.hours[one % 24] for one in (hour - 1, hour, hour + 1) if one % 24 in normal.hours]
    if not near:
        return None
    sharp = [one for one in near if one.sharpness > 0 and one.pictures >= 3]
    return Expected(
        pictures=sum(one.pictures for one in near),
        low_light=min(one.low_light for one in near),
        high_bright=max(one.high_bright for one in near),
        low_detail=min(one.low_detail for one in near),
        sharpness=min((one.best for one in sharp), default=None),
        spread=max((one.spread for one in sharp), default=0.0),
        noise=max(one.noise for one in near),
    )


def learned(normal: Normal, seen: Scalars, at: float) -> Normal:
    """With one more picture, of that time. Pure."""
    hour = hour_of(at)
    before = normal.hours.get(hour)
    now = _first(seen, at) if before is None else _next(before, seen, at)
    first_at = at if normal.count == 0 else normal.first_at
    return replace(normal, first_at=first_at, count=normal.count + 1, hours={**normal.hours, hour: now})


def _first(seen: Scalars, at: float) -> Hour:
    sharp = seen.sharpness or 0.0
    light, bright, detail = seen.luminance, seen.bright, seen.detail
    return Hour(1, at, light, light, bright, bright, detail, detail, sharp, 0.0, sharp, seen.noise)


def _next(hour: Hour, seen: Scalars, at: float) -> Hour:
    count = hour.pictures + 1
    days = max(0.0, at - hour.seen) / DAY
    by = max(1 / count, min(0.3, 1 - 0.5 ** (days / _MEAN_DAYS)))
    closer = 1 - 0.5 ** (days / _ENVELOPE_DAYS)
    light = _towards(hour.light, seen.luminance, by)
    bright = _towards(hour.bright, seen.bright, by)
    detail = _towards(hour.detail, seen.detail, by)
    # a sensor that dies slowly does not become normal
    noisier = by if seen.noise < hour.noise or count <= 3 else 1 - 0.5 ** (days / _BEST_DAYS)
    sharpness, spread, best = hour.sharpness, hour.spread, hour.best
    if seen.sharpness is not None:
        away = abs(seen.sharpness - sharpness) if sharpness else 0.0
        spread = _towards(spread, away, by)
        sharpness = _towards(sharpness or seen.sharpness, seen.sharpness, by)
        best = max(sharpness, best * 0.5 ** (days / _BEST_DAYS))
    return Hour(
        count,
        at,
        min(_towards(hour.low_light, light, closer), seen.luminance),
        light,
        max(_towards(hour.high_bright, bright, closer), seen.bright),
        bright,
        min(_towards(hour.low_detail, detail, closer), seen.detail),
        detail,
        sharpness,
        spread,
        best,
        _towards(hour.noise, seen.noise, noisier),
    )


def widened(normal: Normal, seen: Scalars) -> Normal:
    """A picture with these figures is normal at every hour that is known."""
    sharp = seen.sharpness

    def wider(hour: Hour) -> Hour:
        blunter = sharp is not None and sharp < hour.best
        return hour._replace(
            low_light=min(hour.low_light, seen.luminance),
            high_bright=max(hour.high_bright, seen.bright),
            low_detail=min(hour.low_detail, seen.detail),
            sharpness=sharp if blunter and sharp is not None else hour.sharpness,
            best=sharp if blunter and sharp is not None else hour.best,
            noise=max(hour.noise, seen.noise),
        )

    return replace(normal, hours={name: wider(hour) for name, hour in normal.hours.items()})


def agreed(normal: Normal, agreement: float, at: float, less: float) -> Normal:
    """How far a picture agrees with the views, learned. `less`: so much under the usual is a change."""
    if agreement >= normal.usual - less:
        usual = _towards(normal.usual, agreement, 1 / _SAME_PICTURES)
        return replace(normal, usual=usual, changed=0, changed_since=0.0)
    return replace(normal, changed=normal.changed + 1, changed_since=normal.changed_since or at)


def same_again(normal: Normal, share: float) -> Normal:
    """How much two pictures in a row have in common, learned."""
    by = max(1 / (normal.compared + 1), 1 / _SAME_PICTURES)
    return replace(normal, same=_towards(normal.same, share, by), compared=min(normal.compared + 1, 1000))


def _towards(value: float, target: float, by: float) -> float:
    return value + (target - value) * by
