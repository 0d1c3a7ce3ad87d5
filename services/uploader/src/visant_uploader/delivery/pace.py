"""When may the next upload begin, and how many at once? Pure: the loop asks, then acts."""

from random import Random

from visant_contract.errors import Retryable
from visant_uploader.delivery.retry_policy import Refused, pause

SIDE_BY_SIDE = 2
"""One upload that hangs must not hold up the next; more would only share the same uplink."""
SUSPICIOUS = 2
"""So many items refused in a row, with none accepted between them, and it is the endpoint that refuses."""
WAKES = 5
WAKE_EVERY = 60.0
"""Confirmed streams end waits WAKES times at once, then once in so many seconds: a stream that comes and goes every
two seconds is no reason to send a picture every two seconds."""


class DeliveryPace:
    """The endpoint's mood. Times are seconds of one steady clock."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._failures = 0
        self._not_before = 0.0
        self._asked_for = 0.0
        """Until when the other end asked us to stay away (Retry-After)."""
        self._refused: set[str] = set()
        """Items refused since anything was accepted."""
        self._wakes = float(WAKES)
        self._woken_at = 0.0
        self.trouble: Retryable | Refused | None = None

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
        """A receipt came; a time that the other end asked for is kept all the same."""
        self._failures = 0
        self._not_before = self._asked_for
        self._refused.clear()
        self.trouble = None

    def failed(self, failure: Retryable | Refused, now: float) -> float:
        """The endpoint is in trouble: all wait. Returns for how many seconds."""
        seconds = pause(failure, self._failures, self.rng)
        self._failures += 1
        self._not_before = max(self._not_before, now + seconds)
        if failure.retry_after is not None:
            self._asked_for = max(self._asked_for, now + failure.retry_after)
        self.trouble = failure
        return seconds

    def refused(self, name: str, refused: Refused, now: float) -> float | None:
        """One item was refused. None: it may be that item alone; else for how many seconds all wait."""
        self._refused.add(name)
        if len(self._refused) < SUSPICIOUS:
            return None
        return self.failed(refused, now)

    def wake(self, now: float) -> bool:
        """A stream was confirmed: ask again at once, with one upload, but not before the time that the other end
        asked for. False: streams are confirmed too often to mean anything.
        """
        self._wakes = min(float(WAKES), self._wakes + (now - self._woken_at) / WAKE_EVERY)
        self._woken_at = now
        if self._wakes < 1.0:
            return False
        self._wakes -= 1.0
        self._failures = 0
        self._not_before = self._asked_for
        return True

    def _limit(self) -> int:
        return 1 if self.trouble is not None else SIDE_BY_SIDE
