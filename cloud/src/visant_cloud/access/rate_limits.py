"""How often something may happen: a token bucket for each key, in this process's memory."""

import math
from collections import OrderedDict
from collections.abc import Callable


class RateLimits:
    """Each key may act `per_second` times a second, `burst` times at once. At most `keys` keys are remembered."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float], keys: int = 10_000) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._keys = keys
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def acquire(self, key: str) -> int | None:
        """None: go ahead. Otherwise the whole seconds after which there is room again."""
        now = self._clock()
        left, at = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        wait = None if left >= 1 else max(1, math.ceil((1 - left) / self._per_second))
        self._buckets[key] = (left if wait else left - 1, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        return wait

    def spent(self, key: str) -> bool:
        """Whether `acquire` would say no; nothing is taken."""
        left, at = self._buckets.get(key, (self._burst, self._clock()))
        return left + (self._clock() - at) * self._per_second < 1
