"""How fast pictures come, and how many days of them still fit. Pure."""

from collections import deque

DAY = 86400.0
STEP = 600.0
"""Seconds between the points that are kept: 144 of them make a day."""
KNOWN_AFTER = 600.0
"""Seconds of watching before a rate is worth telling."""


class FillRate:
    """Fed with a running sum of bytes; the rate is that of the last day, or of the time since the start."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()

    def note(self, now: float, total_bytes: float) -> None:
        """`total_bytes` captured since the start, at `now` (seconds of a steady clock)."""
        if not self._points or now - self._points[-1][0] >= STEP:
            self._points.append((now, total_bytes))
        while len(self._points) > 1 and now - self._points[1][0] >= DAY:
            self._points.popleft()

    def bytes_a_day(self, now: float, total_bytes: float) -> float | None:
        """None where it was not watched for long enough or nothing came."""
        if not self._points:
            return None
        since, before = self._points[0]
        if now - since < KNOWN_AFTER or total_bytes <= before:
            return None
        return (total_bytes - before) / (now - since) * DAY


def days_left(room_bytes: int, bytes_a_day: float | None) -> float | None:
    """Days until `room_bytes` are used up."""
    return None if not bytes_a_day else max(0, room_bytes) / bytes_a_day
