"""Which parts of a report are kept over time, and how reports become steps of five minutes. Pure.

What is kept is a list in the order of FIELDS, so a name costs nothing. The order is for ever: a new field comes at the
end, and none is taken away; what is shorter was kept before there were more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from visant_cloud.alerts.heard import Heard

Value = float | str | None
Step = float | str | list[float] | None
"""Of one field in one step: a state's last word; a number; [min, mean, max, last] where it had several values."""
Part = Literal["min", "mean", "max", "last"]
PARTS: tuple[Part, ...] = ("min", "mean", "max", "last")
STEP = 300
"""Seconds."""
HOUR = 3600
STEPS = HOUR // STEP


def _number(*path: str) -> Callable[[Heard], Value]:
    return lambda heard: heard.number(*path)


def _word(*path: str) -> Callable[[Heard], Value]:
    return lambda heard: (heard.word(*path) or "")[:40] or None


def _flag(*path: str) -> Callable[[Heard], Value]:
    def read(heard: Heard) -> Value:
        said = heard.says(*path)
        return None if said is None else float(said)

    return read


def _radio(name: str) -> Callable[[Heard], Value]:
    """Of the radio that is the uplink; else of the first, by name."""

    def read(heard: Heard) -> Value:
        radios = heard.part("host", "radios")
        if not isinstance(radios, Mapping) or not radios:
            return None
        uplink = heard.word("host", "uplink")
        mine = uplink if uplink is not None and uplink in radios else min(map(str, radios))
        return heard.number("host", "radios", mine, name)

    return read


def _restarts(heard: Heard) -> Value:
    found = heard.part("host", "restarts")
    counts = [heard.number("host", "restarts", str(name)) for name in found] if isinstance(found, Mapping) else []
    return sum(one for one in counts if one is not None) if counts else None


FIELDS: dict[str, Callable[[Heard], Value]] = {
    "state": _word("state"),
    "camera": _word("camera", "state"),
    "camera_fps": _number("camera", "fps"),
    "camera_bad_frames": _number("camera", "bad_frames"),
    "spool_pictures": _number("spool", "pictures"),
    "spool_reports": _number("spool", "reports"),
    "spool_bytes": _number("spool", "bytes"),
    "spool_oldest_age": _number("spool", "oldest_age"),
    "spool_days_left": _number("spool", "days_left"),
    "disk_free_bytes": _number("disk_free_bytes"),
    "engine_disk_free_bytes": _number("host", "engine_disk", "free_bytes"),
    "card_life_used_percent": _number("host", "card", "life_used_percent"),
    "card_bytes_a_day": _number("host", "card", "bytes_a_day"),
    "temperature": _number("temperature"),
    "throttled": _flag("host", "power", "throttled"),
    "undervoltage": _flag("host", "power", "undervoltage"),
    "uplink": _word("host", "uplink"),
    "radio_dbm": _radio("dbm"),
    "radio_quality_percent": _radio("quality_percent"),
    "clock_synchronised": _flag("clock", "synchronised"),
    "clock_offset": _number("clock", "cloud_offset"),
    "restarts": _restarts,
    "security_updates": _number("host", "security_updates", "pending"),
    "uptime": _number("uptime"),
}
"""Name -> how it is read of a report (contract/telemetry.py). Units: seconds, bytes, degrees Celsius; yes is 1."""
STATES = ("state", "camera", "uplink")
"""Those that are words."""
_PLACE = {name: place for place, name in enumerate(FIELDS)}


def of_report(telemetry: Mapping[str, Any]) -> list[Value]:
    """What is kept of one report."""
    heard = Heard(telemetry)
    return [_short(read(heard)) for read in FIELDS.values()]


def _short(value: Value) -> Value:
    """With three decimals, and without them where they are none: `12`, not `12.0`."""
    if isinstance(value, float):
        value = round(value, 3)
        return int(value) if value.is_integer() else value
    return value


def hour_of(reports: Sequence[tuple[float, Sequence[Value]]], start: float) -> list[list[Step] | None]:
    """The reports of one device in the hour from `start`, (time, what was kept), the oldest first, in STEPS steps.

    A list for each field, None where nothing was said of it. The same reports give the same, however often.
    """
    steps: list[list[Sequence[Value]]] = [[] for _ in range(STEPS)]
    for at, values in reports:
        steps[int(at - start) // STEP].append(values)
    found: list[list[Step] | None] = []
    for place in range(len(FIELDS)):
        column = [_step([one[place] for one in step if place < len(one) and one[place] is not None]) for step in steps]
        found.append(column if any(one is not None for one in column) else None)
    return found


def _step(values: Sequence[Value]) -> Step:
    if not values:
        return None
    numbers = [one for one in values if isinstance(one, int | float)]
    if not numbers or isinstance(values[-1], str):
        return values[-1]
    if len(set(numbers)) == 1:
        return numbers[0]
    spread = (min(numbers), sum(numbers) / len(numbers), max(numbers), numbers[-1])
    return [_short(float(one)) for one in spread]  # type: ignore[misc] # of numbers


def parse_name(name: str) -> tuple[str, Part]:
    """`temperature.max` -> (`temperature`, `max`); without a part the mean, of states the last. KeyError: no field."""
    field, dot, part = name.partition(".")
    if field not in FIELDS or (dot and part not in PARTS) or (dot and field in STATES and part != "last"):
        raise KeyError(name)
    return field, next(one for one in PARTS if one == (part or "mean"))


def of_raw(values: Sequence[Value], field: str) -> Value:
    """One field of what was kept of a report."""
    place = _PLACE[field]
    return values[place] if place < len(values) else None


def of_hour(columns: Sequence[list[Step] | None], field: str, part: Part) -> list[Value]:
    """One field of an hour, step by step."""
    place = _PLACE[field]
    column = columns[place] if place < len(columns) else None
    return [_part(one, part) for one in column] if column is not None else [None] * STEPS


def _part(step: Step, part: Part) -> Value:
    return step[PARTS.index(part)] if isinstance(step, list) else step
