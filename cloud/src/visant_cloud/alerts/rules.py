"""What an organisation may choose about its alerts. Everything has a default that fits an ordinary fleet."""

from datetime import datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from visant_cloud.alerts.kinds import ALERTING, KINDS

_DAY = 86400.0


def _kind(value: str) -> str:
    if value not in ALERTING:
        raise ValueError(f"{value[:50]!r} is no kind of alert: one of {', '.join(ALERTING)}")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{value[:50]!r} is no time zone: write one like Europe/Berlin") from None
    return value


def only_text(value: Any) -> Any:
    """Of a time: numbers would be read as seconds."""
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("a number is no time")
    if not isinstance(value, str | time | datetime):
        raise ValueError("write a time as text")
    return value


KindName = Annotated[str, AfterValidator(_kind), Field(json_schema_extra={"enum": list(ALERTING)})]
TimeOfDay = Annotated[time, BeforeValidator(only_text), Field(strict=False)]
Zone = Annotated[str, Field(max_length=100), AfterValidator(_zone)]
Seconds = Annotated[float, Field(ge=0, le=7 * _DAY, allow_inf_nan=False)]


class QuietHours(BaseModel):
    """Between these times of day nobody is told; what is still so at their end is told then."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    begin: TimeOfDay
    end: TimeOfDay
    zone: Zone = "UTC"

    def quiet(self, now: datetime) -> bool:
        """Whether `now` lies in them. They may go over midnight; of equal times they are never."""
        local = now.astimezone(ZoneInfo(self.zone)).time()
        begin, end = self.begin.replace(tzinfo=None), self.end.replace(tzinfo=None)
        return begin <= local < end if begin <= end else local >= begin or local < end


class Summary(BaseModel):
    """A message a day about what is open and what was."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    at: TimeOfDay
    zone: Zone = "UTC"

    def due(self, now: datetime) -> str | None:
        """The day (`2026-11-22`) of the summary that is due, within an hour of its time; else None."""
        local = now.astimezone(ZoneInfo(self.zone))
        begun = datetime.combine(local.date(), self.at.replace(tzinfo=None), local.tzinfo)
        return local.date().isoformat() if begun <= local < begun + timedelta(hours=1) else None


class Rules(BaseModel):
    """Of one organisation. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    off: list[KindName] = Field(default_factory=list)
    """Kinds of which no alert opens."""
    hold: dict[KindName, Seconds] = Field(default_factory=dict)
    """How long a kind must last before its alert opens, where the default does not fit."""
    failures_in_a_row: Annotated[int, Field(ge=1, le=30)] = 3
    slots_from: Annotated[float, Field(ge=0, le=31 * _DAY, allow_inf_nan=False)] = 3600.0
    """A missed slot is an alert of schedules with at least this interval; of quicker ones `failures` is enough."""
    spool_days: Annotated[float, Field(ge=0, le=365, allow_inf_nan=False)] = 2.0
    """`spool` where the device says that its room lasts for fewer days."""
    disk_free_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = 512 << 20
    heat_celsius: Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)] = 80.0
    """raspberrypi.com/documentation, "Frequency management and thermal control": slowed down from 80 on."""
    clock_seconds: Annotated[float, Field(ge=1, le=_DAY, allow_inf_nan=False)] = 60.0
    quiet_hours: QuietHours | None = None
    daily_summary: Summary | None = None

    def hold_of(self, kind: str) -> float:
        """Seconds."""
        return self.hold.get(kind, KINDS[kind].hold)

    def quiet(self, now: datetime) -> bool:
        """Whether nobody is told now."""
        return self.quiet_hours is not None and self.quiet_hours.quiet(now)


DEFAULT = Rules()


def rules_of(kept: Any) -> Rules:
    """What is kept, as far as it can be read by this version: a kind that is gone costs no other choice."""
    try:
        return Rules.model_validate(kept)
    except ValidationError:
        pass
    if not isinstance(kept, dict):
        return DEFAULT
    good: dict[str, Any] = {}
    for name, value in kept.items():
        try:
            Rules.model_validate({name: value})
        except ValidationError:
            continue
        good[name] = value
    return Rules.model_validate(good)
