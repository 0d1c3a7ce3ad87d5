"""When to connect again, and after how much silence a stream is dead: pure policy, the loop sleeps.

Attempt 0 comes at once, spread over a second so that a fleet does not arrive in one instant; then
random(0, min(30 s, RECONNECT_DELAY x 2**n)). The count starts anew only after a stream that stayed confirmed
for a while: a server that closes every stream after five seconds is not asked twelve times a minute for ever.
What the cloud asks for by Retry-After comes on top, for it may have told all the same.
"""

from dataclasses import dataclass
from random import Random

from visant_runtime.backoff import full_jitter

STEADY = 30.0
"""Seconds that a stream must stay confirmed to count as healthy."""
CAP = 30.0
"""Seconds; so every device is back within 30 s of its cloud."""
AT_ONCE = 1.0
"""Seconds over which the first attempt is spread."""
REFUSED = 60.0
"""Seconds at least between attempts that only a person can help (401, 403, 404)."""
_REFUSED_SPREAD = 5.0
RETRY_AFTER_CAP = 300.0
"""Seconds; a cloud that asks for more time is asked again after this."""
MEANT = 5.0
"""Seconds. A cloud that asks for so much has a time in mind; a smaller number, again and again, is no reason to come
so often."""


@dataclass(frozen=True)
class Reconnect:
    """How many attempts in a row have not led to a steady stream."""

    delay: float
    """RECONNECT_DELAY, seconds."""
    attempt: int = 0

    def steady(self) -> "Reconnect":
        """After a stream that was worth having."""
        return Reconnect(self.delay)

    def failed(self) -> "Reconnect":
        """After anything else."""
        return Reconnect(self.delay, self.attempt + 1)

    def wait(self, rng: Random, *, retry_after: float | None = None) -> float:
        """Seconds until the next attempt. `retry_after`: what the cloud asked for."""
        if self.attempt == 0:
            wait = rng.uniform(0.0, AT_ONCE)
        else:
            wait = full_jitter(self.attempt - 1, base=self.delay, cap=CAP, rng=rng)
        if retry_after is not None:
            asked = min(max(retry_after, 0.0), RETRY_AFTER_CAP)
            if asked >= MEANT:
                wait = min(wait, asked / 2)  # the cloud is there: a spread of half a minute says nothing any more
            wait += asked
        return wait


def refused_wait(rng: Random) -> float:
    """Seconds until the next attempt where the cloud does not want this device as it is."""
    return REFUSED + rng.uniform(0.0, _REFUSED_SPREAD)


def silence_limit(stream_timeout: float, ping_every: float | None) -> float:
    """Seconds without an event after which a stream counts as dead."""
    return stream_timeout if ping_every is None else 2.0 * ping_every
