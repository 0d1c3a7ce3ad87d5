"""How long to wait before the next attempt. Pure: the caller sleeps."""

from random import Random


def full_jitter(attempt: int, *, base: float, cap: float, rng: Random) -> float:
    """Seconds in [0, min(cap, base * 2**attempt)], evenly spread; `attempt` counts from 0.

    Full jitter spreads a fleet that lost the same server best; see Marc Brooker, "Exponential Backoff And
    Jitter" (AWS Architecture Blog, 2015).
    """
    # 2**63 s is past every cap; a larger exponent would overflow float
    return rng.uniform(0.0, min(cap, base * 2.0 ** min(attempt, 63)))


def retry_after(value: str | None) -> float | None:
    """Seconds that a peer asks for in this `Retry-After` (RFC 9110, 10.2.3); None where it names none that can be read.

    The caller caps it: a typing error in a header must not silence a device for a year. The form with a date is not
    used: our wall clock may be a year wrong, and backing off as if nothing had been asked for is never far off.
    """
    text = (value or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None
