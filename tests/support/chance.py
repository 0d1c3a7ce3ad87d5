"""A dice that always falls on the same side: waits that are drawn become exact."""

from random import Random


class Shortest(Random):
    """Every draw is the least that could have come."""

    def uniform(self, a: float, b: float) -> float:
        """`a`."""
        return a


class Longest(Random):
    """Every draw is the most that could have come."""

    def uniform(self, a: float, b: float) -> float:
        """`b`."""
        return b
