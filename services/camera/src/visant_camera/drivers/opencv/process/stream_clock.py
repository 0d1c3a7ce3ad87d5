"""When was a network frame exposed? Arrival alone lies: after a hiccup a backlog arrives in one burst."""

import math

WINDOW = 30.0
"""Seconds after which an old smallest delay is forgotten: the camera's clock drifts against ours by up to 0.1 ms/s."""


class StreamClock:
    """Turns a frame's own timestamp into our clock, by the smallest delay seen lately.

    A frame cannot arrive before it was exposed, so of all frames the one with the smallest (arrival - timestamp) was
    delayed least; every other frame's delay is measured against it. What remains is that smallest delay itself:
    encoder, network and decoder at their best. Of two windows the older is dropped each WINDOW seconds.
    """

    def __init__(self) -> None:
        self._recent = self._older = math.inf
        self._turn = -math.inf
        self._before = -math.inf

    def exposed(self, timestamp: float, arrival: float) -> float:
        """Seconds on our clock, at most `arrival`; both in seconds. A timestamp that runs back starts anew."""
        if timestamp < self._before:
            self._recent = self._older = math.inf
            self._turn = arrival
        self._before = timestamp
        if arrival - self._turn >= WINDOW:
            self._older, self._recent = self._recent, math.inf
            self._turn = arrival
        self._recent = min(self._recent, arrival - timestamp)
        return min(arrival, timestamp + min(self._recent, self._older))
