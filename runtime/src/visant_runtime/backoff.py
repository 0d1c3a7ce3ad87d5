"""How long to wait before the next attempt. Pure: the caller sleeps."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from random import Random


def full_jitter(attempt: int, *, base: float, cap: float, rng: Random) -> float:
    """Seconds in [0, min(cap, base * 2**attempt)], evenly spread; `attempt` counts from 0.

    Full jitter spreads a fleet that lost the same server best; see Marc Brooker, "Exponential Backoff And
    Jitter" (AWS Architecture Blog, 2015).
    """
    # 2**63 s is past every cap; a larger exponent would overflow float
    return rng.uniform(0.0, min(cap, base * 2.0 ** min(attempt, 63)))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a peer asks for with `Retry-After` (RFC 9110, 10.2.3); None where it names none that can be read.

    `headers` are looked up in lower case. A date is measured against the peer's own `Date`: our wall clock may be a
    year wrong. The caller caps it: a typing error in a header must not silence a device for a year.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0)
