"""When may the next upload begin, and how many at once? Pure: the loop asks, then acts."""

from random import Random

from visant_contract.errors import Misconfigured, Retryable
from visant_uploader.delivery.retry_policy import pause

SIDE_BY_SIDE = 2
"""One upload that hangs must not hold up the next; more would only share the same uplink."""


class DeliveryPace:
    """The endpoint's mood. Times are seconds of one steady clock."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._failures = 0
        self._not_before = 0.0
        self.trouble: Retryable | Misconfigured | None = None

    def allowed(self, now: float, busy: int) -> int:
        """How many uploads may begin now, `busy` of them running; in trouble one probes for all."""
        if now < self._not_before:
            return 0
        return max(0, self._limit() - busy)

    def full(self, busy: int) -> bool:
        """Whether a running upload must end before another may begin."""
        return busy >= self._limit()

    def next_due(self) -> float:
        """When the endpoint's wait ends."""
        return self._not_before

    def went_well(self) -> None:
        """A receipt came."""
        self._failures = 0
        self._not_before = 0.0
        self.trouble = None

    def failed(self, failure: Retryable | Misconfigured, now: float) -> float:
        """The endpoint is in trouble: all wait. Returns for how many seconds."""
        seconds = pause(failure, self._failures, self.rng)
        self._failures += 1
        self._not_before = max(self._not_before, now + seconds)
        self.trouble = failure
        return seconds

    def wake(self) -> None:
        """A stream was confirmed: ask again at once, with one upload."""
        self._failures = 0
        self._not_before = 0.0

    def _limit(self) -> int:
        return 1 if self.trouble is not None else SIDE_BY_SIDE
