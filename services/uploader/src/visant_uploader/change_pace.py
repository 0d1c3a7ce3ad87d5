"""How often a changed state may be told beside the regular reports: at once, and still seldom where it flaps. Pure."""


class ChangePace:
    """A bucket of permissions: full at the start, one more each `every` seconds, never more than `burst`."""

    def __init__(self, burst: int, every: float) -> None:
        """`every`: seconds."""
        self._burst = burst
        self._every = every
        self._left = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """One of them is used, where there is one. `now`: seconds of a steady clock."""
        if self._at is not None:
            self._left = min(self._burst, self._left + max(0.0, now - self._at) / self._every)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
