"""How often something may happen: a token bucket for each key, in this process's memory."""

import ipaddress
import math
from collections.abc import Callable

_HARDLY = 1e-6
"""Seconds: what adding up seconds may be off by."""


class RateLimits:
    """Each key may act `per_second` times a second, `burst` times at once.

    Of a key is kept when it will be as if it had never acted; from then on nothing is lost by forgetting it. Of more
    than `keys` the half that acted least is forgotten: keys that somebody invents, each used once, push out none that
    was told to wait.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float], keys: int = 10_000) -> None:
        self._each = 1 / per_second
        self._most = (burst - 1) / per_second
        self._clock = clock
        self._keys = keys
        self._rested: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._rested)

    def acquire(self, key: str) -> int | None:
        """None: go ahead. Otherwise the whole seconds after which there is room again."""
        wait = self.wait(key)
        if wait is None:
            now = self._clock()
            self._rested[key] = max(now, self._rested.get(key, now)) + self._each
            if len(self._rested) > self._keys:
                self._forget(now)
        return wait

    def wait(self, key: str) -> int | None:
        """What `acquire` would say; nothing is taken."""
        now = self._clock()
        seconds = self._rested.get(key, now) - now - self._most
        return None if seconds <= _HARDLY else max(1, math.ceil(seconds - _HARDLY))

    def reset(self, key: str) -> None:
        """As if it had never acted."""
        self._rested.pop(key, None)

    def _forget(self, now: float) -> None:
        left = {key: at for key, at in self._rested.items() if at > now}
        if len(left) > self._keys // 2:
            left = dict(sorted(left.items(), key=lambda item: item[1])[-(self._keys // 2) :])
        self._rested = left


def by_address(host: str | None) -> str:
    """The key under which an address is counted: IPv6 by its /64, which one subscriber has whole (RFC 6177)."""
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:  # a listener on :: sees IPv4 so
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
