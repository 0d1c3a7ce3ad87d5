"""A schedule's rule, from the words of the command line to the API's form. Pure; the cloud judges what it means."""

import re
from typing import Any

from visant_cli import when

_DAY = r"\d{4}-\d\d-\d\d"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHORT = {"workdays": "mon-fri", "weekend": "sat,sun", "daily": "mon-sun"}


def rule(
    *,
    every: str | None,
    cron: str | None,
    zone: str | None,
    days: str | None,
    windows: list[str] | None,
    daylight: str | None,
    pauses: list[str] | None,
    jitter: str | None,
    expires: str | None,
    missed: str | None,
) -> dict[str, Any]:
    """What was said and nothing else. Raises ValueError with a line that names the option."""
    if (every is None) == (cron is None):
        raise ValueError("say --every 15m, or --cron '0 8 * * *': one of them")
    found: dict[str, Any] = {
        "interval_seconds": _length("--every", every),
        "cron": cron,
        "zone": zone,
        "weekdays": weekdays(days) if days else None,
        "windows": [window(one) for one in windows] if windows else None,
        "daylight": _place(daylight) if daylight else None,
        "pauses": [pause(one) for one in pauses] if pauses else None,
        "jitter_seconds": _length("--jitter", jitter),
        "expires_after_seconds": _length("--expires-after", expires),
        "missed": missed,
    }
    return {name: value for name, value in found.items() if value is not None}


def _length(option: str, text: str | None) -> float | None:
    try:
        return None if text is None else when.seconds(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def weekdays(text: str) -> list[str]:
    """`mon-fri`, `sat,sun`, `workdays` as days in their order."""
    chosen: set[str] = set()
    for part in _SHORT.get(text.strip().lower(), text).lower().split(","):
        first, dash, last = (one.strip()[:3] for one in part.partition("-"))
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(f"--days: {part.strip()!r}: write e.g. mon-fri, or sat,sun")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        chosen |= set(_DAYS[begin : end + 1] if begin <= end else _DAYS[begin:] + _DAYS[: end + 1])
    return [day for day in _DAYS if day in chosen]


def window(text: str) -> dict[str, str]:
    """`08:00-18:30`; over midnight where the end is the earlier one."""
    found = re.fullmatch(r"\s*(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)\s*", text)
    if found is None:
        raise ValueError(f"--window: {text!r}: write e.g. 08:00-18:30")
    begin, end = (f"{clock:0>5}" for clock in found.groups())
    return {"begin": begin, "end": end}


def pause(text: str) -> dict[str, str]:
    """`2026-12-24..2027-01-01`, or one day."""
    found = re.fullmatch(rf"\s*({_DAY})\s*(?:\.\.\s*({_DAY})\s*)?", text)
    if found is None:
        raise ValueError(f"--pause: {text!r}: write e.g. 2026-12-24..2027-01-01, or one day")
    return {"first": found[1], "last": found[2] or found[1]}


def _place(text: str) -> dict[str, float]:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--daylight: {text!r}: write latitude,longitude of the place, e.g. 52.52,13.40") from None
    return {"latitude": latitude, "longitude": longitude}
