"""Times as people write and read them: `2d`, `14:30`, `2026-11-30`; `3 min ago`. Pure."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_WORDS = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "hr": "h", "day": "d", "week": "w"}
_LONGEST = 366 * 100 * 86400


def seconds(text: str) -> float:
    """`90`, `15m`, `1h30m`, `2 days` as seconds. Raises ValueError with a line that shows how to write it."""
    rest, total, parts = text.strip().lower(), 0.0, 0
    while rest:
        found = _PART.match(rest)
        unit = found and _unit(found[2])
        if found is None or unit is None or (found[2] == "" and (parts or found.end() < len(rest))):
            break
        total, parts, rest = total + float(found[1]) * unit, parts + 1, rest[found.end() :].lstrip()
    if rest or not parts or total > _LONGEST:
        raise ValueError(f"{text!r} is no length of time: write e.g. 90s, 15m, 2h, 1h30m, 3d")
    return total


def _unit(word: str) -> int | None:
    if word == "":
        return 1
    known = _WORDS.get(word.removesuffix("s") if len(word) > 1 else word, word)
    return _UNITS.get(known)


def moment(text: str, now: datetime) -> datetime:
    """A length of time before `now` (`2d`), a time of today (`14:30`), a date or a date with a time, `now`, `today` or
    `yesterday`. Without a zone it is the zone of `now`. Raises ValueError with a line that shows how to write it.
    """
    word = text.strip()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if word.lower() in days:
        return days[word.lower()]
    try:
        return now - timedelta(seconds=seconds(word))
    except (ValueError, OverflowError):
        pass
    try:
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", word):
            hours, minutes, *rest = (int(part) for part in word.split(":"))
            return midnight.replace(hour=hours, minute=minutes, second=rest[0] if rest else 0)
        found = datetime.fromisoformat(word)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write e.g. 2d (ago), 14:30, 2026-11-30 or 2026-11-30T14:30Z") from None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def rfc3339(at: datetime) -> str:
    """As the API takes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parsed(text: str | None) -> datetime | None:
    """A time of the API; None for none, and for what cannot be read."""
    try:
        found = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def length(total: float) -> str:
    """`45 s`, `3 min`, `5 h`, `2 days`: how long, in one unit that is large enough."""
    for name, size, until in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 2 * 86400)):
        if total < until:
            return f"{round(total / size)} {name}"
    return f"{round(total / 86400)} days"


def ago(text: str | None, now: datetime) -> str:
    """How long ago a time of the API was, or until it is; `never` for none."""
    at = parsed(text)
    if at is None:
        return "never" if text is None else text
    passed = (now - at).total_seconds()
    return f"{length(passed)} ago" if passed >= 0 else f"in {length(-passed)}"


def local(text: str | None, *, milliseconds: bool = False) -> str:
    """A time of the API as a clock on this machine's wall would show it, with its zone; `-` for none."""
    at = parsed(text)
    if at is None:
        return "-" if text is None else text
    here = at.astimezone()
    fraction = f".{here.microsecond // 1000:03d}" if milliseconds else ""
    return f"{here:%Y-%m-%d %H:%M:%S}{fraction} {here:%Z}"
