"""Which outcome next? New ones first, then the newest and the oldest by turns. Pure.

By turns, because after days offline a viewer wants today's pictures and the ledger wants the first ones, and
neither should wait for the other. New ones first, because somebody may stand there and wait.
"""

import heapq
import math
from bisect import insort
from collections.abc import Collection

FRESH = 60.0
"""Seconds for which a new outcome that was never tried goes before all others, the latest first."""


class DeliveryQueue:
    """Names of waiting outcomes, old ones known by `fill`, new ones by `add`. Times: seconds of one steady clock."""

    def __init__(self) -> None:
        self._ready: list[tuple[int, str]] = []
        self._later: list[tuple[float, int, str]] = []
        self._orders: dict[str, int] = {}
        self._fresh_until: dict[str, float] = {}
        self._newest_turn = True
        self._turn_of: dict[str, bool] = {}
        """Popped by turns and not ended yet: whether it was the newest's turn."""
        self._out: set[str] = set()
        """Popped and not ended yet, also where `clear` came since: it is not handed out a second time."""
        self._highest = 0

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, name: str) -> bool:
        return name in self._orders

    def fill(self, found: list[tuple[int, str]]) -> None:
        """What lay in a folder: (any number that grows with the time of writing, name). All older than `add`ed ones."""
        old = sorted(one for one in found if one[1] not in self._orders)
        ranked = [(rank - len(old), name) for rank, (_, name) in enumerate(old)]
        self._orders.update((name, order) for order, name in ranked)
        self._ready = sorted([one for one in ranked if one[1] not in self._out] + self._ready)

    def clear(self) -> None:
        """Another folder is looked at from now on. What is popped still ends in `later` or `done`."""
        self._ready, self._later = [], []
        self._orders, self._fresh_until, self._turn_of = {}, {}, {}

    def add(self, name: str, now: float) -> None:
        """A new outcome, newer than all others whatever the wall clock says."""
        if name in self._orders:
            return
        self._highest += 1
        self._orders[name] = self._highest
        if name in self._out:
            return
        self._fresh_until[name] = now + FRESH
        self._ready.append((self._highest, name))

    def pop(self, now: float) -> str | None:
        """The next name, or None where all wait. It stays known until `done`."""
        while self._later and self._later[0][0] <= now:
            _, order, name = heapq.heappop(self._later)
            if name in self._orders:
                insort(self._ready, (order, name))
        while self._ready:
            fresh = self._fresh_until.get(self._ready[-1][1], now) > now
            newest = fresh or self._newest_turn
            _, name = self._ready.pop(-1 if newest else 0)
            self._fresh_until.pop(name, None)
            if name not in self._orders:
                continue
            if not fresh:
                self._turn_of[name] = self._newest_turn
                self._newest_turn = not self._newest_turn
            self._out.add(name)
            return name
        return None

    def later(self, name: str, until: float) -> None:
        """A popped name waits until then, if it still belongs here. Its turn was not had: a cloud that takes every
        second one gets both ends.
        """
        self._newest_turn = self._turn_of.pop(name, self._newest_turn)
        self._out.discard(name)
        if name not in self._orders:  # the folder is another one now
            return
        heapq.heappush(self._later, (until, self._orders[name], name))

    def done(self, name: str) -> None:
        """A popped name is delivered or gone."""
        self._turn_of.pop(name, None)
        self._out.discard(name)
        self._orders.pop(name, None)
        self._fresh_until.pop(name, None)

    def wake(self, before: float = math.inf, but: Collection[str] = ()) -> None:
        """Ends every wait that would end before then, but for those of some."""
        waiting, self._later = self._later, []
        for until, order, name in waiting:
            if until >= before or name in but:
                heapq.heappush(self._later, (until, order, name))
            elif name in self._orders:
                self._ready.append((order, name))
        self._ready.sort()

    def next_due(self, now: float) -> float | None:
        """When `pop` can give something; None where nothing waits."""
        if self._ready:
            return now
        return self._later[0][0] if self._later else None
