"""What an answer (413, 503, a sign-in page, ...) means: who speaks, and whom it may concern. Pure.

network error, 429, 503, 507, a 2xx that is no receipt   the endpoint backs off                    Retryable
everything else that is no receipt                       this item waits; see pace.py, refusals.py Refused

Who speaks is read from the body alone: whoever stands in between can send any status.
"""

import json
from collections.abc import Mapping
from enum import Enum
from random import Random
from typing import Any

from visant_contract.errors import Retryable
from visant_runtime.backoff import full_jitter, retry_after

REJECTING = frozenset({400, 413, 415, 422})
"""With these a cloud says that it will never take this item."""
FOR_A_PERSON = frozenset({401, 403, 404})
"""With these a cloud says that it does not want this device as it is."""
WHOLE_ENDPOINT = frozenset({429, 503, 507})
"""507: the cloud's disk is full, for every picture alike."""
BACKOFF_BASE = 1.0
BACKOFF_CAP = 300.0
ITEM_CAP = 3600.0
"""Seconds at most between two tries of an item that is refused while others pass: each sends it whole."""
RETRY_AFTER_CAP = 3600.0
"""Seconds; a typing error in a header must not silence a device for a year."""
PROBE_EVERY = 60.0
"""Seconds at most between the probes of an endpoint that refuses everything."""
DETAIL_KEPT = 300
NO_ANSWER = 0
"""In place of a status."""


class Speaker(Enum):
    """Who answered."""

    CLOUD = "the cloud"
    NETWORK = "something on the way to the cloud"


class Refused(Exception):
    """The answer is a no, and whether it is meant for this item alone is not known yet."""

    def __init__(self, status: int, speaker: Speaker, detail: str, retry_after: float | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.speaker = speaker
        self.detail = detail
        self.retry_after = retry_after
        """Seconds, where it named them."""

    def __str__(self) -> str:
        return self.detail

    @property
    def rejects(self) -> bool:
        """The cloud itself says that it will never take this item."""
        return self.speaker is Speaker.CLOUD and self.status in REJECTING

    @property
    def is_fault(self) -> bool:
        """A server that fails, which is no opinion of the item."""
        return self.status >= 500


class Unanswered(Retryable):
    """No answer at all: cut, silent, or never connected. Also what a firewall does that breaks one upload off."""


def speaker(status: int, body: bytes, *, plain: bool) -> Speaker:
    """Ours answers problem details (RFC 9457) that repeat the status, a plain cloud a JSON object with a `detail`.
    A page, nothing, or JSON of another form comes from a proxy, a portal, a firewall.
    """
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Speaker.NETWORK
    if not isinstance(found, dict):
        return Speaker.NETWORK
    if plain:  # 422 of a plain cloud carries a list
        return Speaker.CLOUD if isinstance(found.get("detail"), str | list) else Speaker.NETWORK
    told = found.get("status") == status and all(isinstance(found.get(one), str) for one in ("title", "detail"))
    return Speaker.CLOUD if told else Speaker.NETWORK


def verdict(status: int, headers: Mapping[str, str], body: bytes, *, plain: bool) -> Retryable | Refused:
    """For any status that is not an accepted receipt; `headers` are looked up in lower case."""
    detail = f"HTTP {status}: {body[:DETAIL_KEPT].decode(errors='replace')}"
    if 200 <= status < 300:
        return Retryable(f"the answer is no receipt ({detail})")
    if status in WHOLE_ENDPOINT:
        return Retryable(detail, retry_after=_asked(headers))
    return Refused(status, speaker(status, body, plain=plain), detail, _asked(headers))


def _asked(headers: Mapping[str, str]) -> float | None:
    seconds = retry_after(headers)
    return None if seconds is None else min(seconds, RETRY_AFTER_CAP)


def pause(failure: Retryable | Refused, attempt: int, rng: Random) -> float:
    """Seconds until the endpoint is asked again; `attempt` counts from 0."""
    if failure.retry_after is not None:
        return failure.retry_after + rng.uniform(0.0, 1.0)
    if isinstance(failure, Retryable):
        return full_jitter(attempt, base=BACKOFF_BASE, cap=BACKOFF_CAP, rng=rng)
    if failure.speaker is Speaker.CLOUD and failure.status in FOR_A_PERSON:
        return PROBE_EVERY + rng.uniform(0.0, 5.0)
    return full_jitter(attempt, base=BACKOFF_BASE, cap=PROBE_EVERY, rng=rng)


def item_pause(attempt: int, rng: Random, *, alone: bool = False) -> float:
    """Seconds until this item's turn may come again; others go before it, so one bad item never blocks them.

    `alone`: others pass while it is refused.
    """
    return full_jitter(attempt, base=BACKOFF_BASE, cap=ITEM_CAP if alone else BACKOFF_CAP, rng=rng)
