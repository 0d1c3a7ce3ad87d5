"""The rule of a schedule: what may be written, and one clear line for what may not."""

import re
from datetime import date, datetime, time
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import structlog
from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from visant_cloud.alerts.rules import Zone

log = structlog.get_logger()

LEAST_INTERVAL, MOST_INTERVAL = 1, 31 * 86400
"""Seconds, as of a device's own schedule."""
MAX_WINDOWS = 10
MAX_PAUSES = 1000
FIRST_YEAR, LAST_YEAR = 2000, 2199
"""Of pauses."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


_LISTED = "; * for all, 1,3 for some, 1-5 for a range, */2 for each second one"
_FIELDS = {
    "minute": f"0 to 59{_LISTED}",
    "hour": f"0 to 23{_LISTED}",
    "day of month": f"1 to 31, L for the last day, LW for the last weekday{_LISTED}",
    "month": f"1 to 12 or JAN to DEC{_LISTED}",
    "day of week": f"0 to 7 or SUN to SAT, 1#2 for the second Monday, 5L for the last Friday{_LISTED}",
}
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
_ANY_TIME = datetime(2026, 1, 1)


def _cron(value: str) -> str:
    given = value.split()
    if len(given) != len(_FIELDS):
        raise ValueError(f"{value[:50]!r} has {len(given)} fields and not 5: {', '.join(_FIELDS)}")
    for place, (name, text) in enumerate(zip(_FIELDS, given, strict=True)):
        alone = ["*"] * place + [text] + ["*"] * (len(_FIELDS) - place - 1)
        try:
            CronSim(" ".join(alone), _ANY_TIME)
        except CronSimError:
            raise ValueError(f"{text[:50]!r} is no {name}: write {_FIELDS[name]}") from None
    return " ".join(given)


def _a_time(value: Any) -> Any:
    if not isinstance(value, time) and not (isinstance(value, str) and re.fullmatch(_TIME, value)):
        raise ValueError("write a time of day of the rule's zone as text, e.g. 08:30")
    return value


def _a_day(value: Any) -> Any:
    if not isinstance(value, str | date) or (isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value)):
        raise ValueError("write a day as text, e.g. 2026-12-24")
    return value


def _near(value: date) -> date:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"a day of the years {FIRST_YEAR} to {LAST_YEAR}, not {value.isoformat()}")
    return value


def _sorted(value: list[Any]) -> list[Any]:
    return sorted(set(value), key=WEEKDAYS.index)


TimeOfDay = Annotated[
    time, BeforeValidator(_a_time), Field(strict=False), WithJsonSchema({"type": "string", "pattern": f"^{_TIME}$"})
]
Day = Annotated[date, BeforeValidator(_a_day), Field(strict=False), AfterValidator(_near)]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


class Window(BaseModel):
    """From `begin` to just before `end`, every day; over midnight where `end` is the earlier one."""

    model_config = _STRICT
    begin: TimeOfDay
    end: TimeOfDay

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.begin == self.end:
            raise ValueError(f"begin and end are both {self.begin:%H:%M}: leave the window out for the whole day")
        return self


class Pause(BaseModel):
    """Days without pictures, the first and the last among them."""

    model_config = _STRICT
    first: Day
    last: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last ({self.last}) is before first ({self.first}): exchange them")
        return self


class Daylight(BaseModel):
    """Where the sun must be up: degrees, north and east are positive."""

    model_config = _STRICT
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class Rule(BaseModel):
    """When pictures are wanted. One of `interval_seconds` and `cron`; whatever else is given must fit as well."""

    model_config = _STRICT
    interval_seconds: Annotated[float, Field(ge=LEAST_INTERVAL, le=MOST_INTERVAL, allow_inf_nan=False)] | None = None
    """Seconds between slots, counted from 1970-01-01 00:00 UTC: 900 is each full quarter of an hour."""
    cron: Annotated[str, Field(max_length=200), AfterValidator(_cron)] | None = None
    """Minute, hour, day of month, month, day of week; times of day of `zone`."""
    zone: Zone = "UTC"
    """Of cron, weekdays, windows and pauses."""
    weekdays: Annotated[list[Weekday], Field(min_length=1, max_length=7), AfterValidator(_sorted)] | None = None
    """null: all."""
    windows: Annotated[list[Window], Field(max_length=MAX_WINDOWS)] = Field(default_factory=list)
    """None: the whole day. One over midnight belongs to the day on which it begins."""
    daylight: Daylight | None = None
    """Only from sunrise to sunset there."""
    pauses: Annotated[list[Pause], Field(max_length=MAX_PAUSES)] = Field(default_factory=list)
    """Holidays."""
    jitter_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    """Each device fires by up to so many seconds later than its slot, always by the same."""
    expires_after_seconds: Annotated[float, Field(ge=1, le=86400, allow_inf_nan=False)] | None = None
    """For how long a trigger waits for its device; null: until the next slot, at most SCHEDULED_TTL_MAX."""
    missed: Literal["skip", "once"] = "once"
    """Of slots that passed while the cloud was away: `once` takes one picture, late, for the last of them."""

    @model_validator(mode="after")
    def _one_cadence(self) -> Self:
        if (self.interval_seconds is None) == (self.cron is None):
            raise ValueError("give one of interval_seconds and cron, and not both")
        if self.interval_seconds is not None and self.jitter_seconds > self.interval_seconds:
            raise ValueError(
                f"jitter_seconds ({self.jitter_seconds:g}) is more than interval_seconds "
                f"({self.interval_seconds:g}): at most one interval"
            )
        return self

    @property
    def confined(self) -> bool:
        """Whether some days or times of day are left out."""
        return bool(self.weekdays or self.windows or self.pauses)

    @cached_property
    def days_off(self) -> list[tuple[date, date]]:
        """The pauses in order, and as one where they meet."""
        merged: list[tuple[date, date]] = []
        for first, last in sorted((one.first, one.last) for one in self.pauses):
            if merged and first.toordinal() <= merged[-1][1].toordinal() + 1:
                merged[-1] = merged[-1][0], max(merged[-1][1], last)
            else:
                merged.append((first, last))
        return merged

    @cached_property
    def never(self) -> bool:
        """Whether the cron line names days that no month has, such as 30 February."""
        if self.cron is None:
            return False
        try:
            CronSim(self.cron, _ANY_TIME)
        except CronSimError:
            return True
        return False


def kept(rule: Rule) -> dict[str, Any]:
    """As it is stored and read back by `Rule.model_validate`."""
    return rule.model_dump(mode="json", exclude_defaults=True)


NEVER = Rule(cron="0 0 30 2 *")
"""30 February."""


def rule_of(stored: Any) -> Rule:
    """What `kept` made. One that this version cannot read (a zone that is gone, say) never fires, and ends no loop."""
    try:
        return Rule.model_validate(stored)
    except ValidationError:
        log.error("a schedule's rule cannot be read: write it anew", rule=str(stored)[:300])
        return NEVER
