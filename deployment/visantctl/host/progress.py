"""How far a download is: a line that moves on a terminal, and one line every ten seconds in the log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from visantctl.host.log import Log

_MOVES, _LASTS = 0.2, 10.0
"""Seconds between two looks of the line that moves, and between two lines that stay."""


class Progress:
    """Of one download, called `what`; at the end of the block its line is off the terminal. Without a `log`: silent."""

    def __init__(self, log: Log | None, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._what = what
        self._clock = clock
        self._moved = self._lasted = clock()
        self._samples: deque[tuple[float, int]] = deque(maxlen=int(_LASTS / _MOVES))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None and self._samples:
            self._log.clear()

    def at(self, done: int, total: int) -> None:
        """So many bytes are here, of which some may have been here before; may be called for each of them."""
        now = self._clock()
        if self._log is None or (now - self._moved < _MOVES and self._samples):
            return
        self._moved = now
        self._samples.append((now, done))
        began, had = self._samples[0]
        rate = max(0.0, (done - had) / (now - began)) if now > began else 0.0
        lasts = now - self._lasted >= _LASTS
        if lasts:
            self._lasted = now
        self._log.progress(f"{self._what}: {told(done, total, rate)}", lasts=lasts)


def told(done: int, total: int, rate: float) -> str:
    """`12.3 of 45.6 MB, 1.20 MB/s, 28 s left`; `rate` in bytes a second, 0 where it is not known."""
    text = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
    if rate <= 0:
        return text
    text += f", {rate / 1e6:.2f} MB/s"
    left = (total - done) / rate
    return text if left <= 0 else f"{text}, {left / 60:.0f} min left" if left >= 120 else f"{text}, {left:.0f} s left"
