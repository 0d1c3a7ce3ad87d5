"""What an answer of the cloud (413, 503, ...) means for the item and for the endpoint. Pure.

network error, 429, 503, 507, a 2xx that is no receipt   the endpoint backs off     Retryable
any other 5xx                                            only this item waits       Retryable(endpoint=False)
400, 413, 415, 422                                       this item never            Rejected
401, 403, 404, a redirect, anything else                 a person must act          Misconfigured
"""

from collections.abc import Mapping
from random import Random

from visant_contract.errors import Misconfigured, Rejected, Retryable
from visant_contract.outcome import rejected_reason
from visant_runtime.backoff import full_jitter, retry_after

REJECTING = frozenset({400, 413, 415, 422})
WHOLE_ENDPOINT = frozenset({429, 503, 507})
"""507: the cloud's disk is full, for every picture alike."""
BACKOFF_BASE = 1.0
BACKOFF_CAP = 300.0
RETRY_AFTER_CAP = 3600.0
"""Seconds; a typing error in a header must not silence a device for a year."""
PROBE_EVERY = 60.0
"""Seconds between the probes of a paused delivery."""
DETAIL_KEPT = 300


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> Retryable | Rejected | Misconfigured:
    """For any status that is not an accepted receipt; `headers` are looked up in lower case."""
    detail = f"HTTP {status}: {body[:DETAIL_KEPT].decode(errors='replace')}"
    if 200 <= status < 300:
        return Retryable(f"the answer is no receipt ({detail})")
    if status in WHOLE_ENDPOINT:
        return Retryable(detail, retry_after=_asked(headers))
    if status >= 500:
        return Retryable(detail, retry_after=_asked(headers), endpoint=False)
    if status in REJECTING:
        return Rejected(rejected_reason(status), detail)
    return Misconfigured(f"http_{status}", detail)


def _asked(headers: Mapping[str, str]) -> float | None:
    seconds = retry_after(headers)
    return None if seconds is None else min(seconds, RETRY_AFTER_CAP)


def pause(failure: Retryable | Misconfigured, attempt: int, rng: Random) -> float:
    """Seconds until the next attempt; `attempt` counts from 0."""
    if isinstance(failure, Misconfigured):
        return PROBE_EVERY + rng.uniform(0.0, 5.0)
    if failure.retry_after is not None:
        return failure.retry_after + rng.uniform(0.0, 1.0)
    return full_jitter(attempt, base=BACKOFF_BASE, cap=BACKOFF_CAP, rng=rng)


def item_pause(attempt: int, rng: Random) -> float:
    """Seconds until this item's turn may come again; others go before it, so one bad item never blocks them."""
    return full_jitter(attempt, base=BACKOFF_BASE, cap=BACKOFF_CAP, rng=rng)
