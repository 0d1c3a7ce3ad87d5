"""How long to wait before the next attempt. Pure: the caller sleeps."""

from random import Random


def full_jitter(attempt: int, *, base: float, cap: float, rng: Random) -> float:
    """Seconds in [0, min(cap, base * 2**attempt)], evenly spread; `attempt` counts from 0.

    Full jitter spreads a fleet that lost the same server best; see Marc Brooker, "Exponential Backoff And
    Jitter" (AWS Architecture Blog, 2015).
    """
    # 2**63 s is past every cap; a larger exponent would overflow float
    return rng.uniform(0.0, min(cap, base * 2.0 ** min(attempt, 63)))
