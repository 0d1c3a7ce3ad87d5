"""The cloud's clock, told by CLOCK_BOOTTIME: offset = cloud's epoch seconds - boottime.

Each `server_time` reaches us late by an unknown lag, so it gives an offset that is too small by that lag; the
largest of a bounded window has the smallest lag. The answer to a request was written between the request and its
arrival, which bounds the offset from both sides: a cloud whose clock was set is believed again at the next
connection, and `strayed` says when it is time for one. The device's wall clock plays no part.
"""

from collections import deque

WINDOW = 600.0
"""Seconds that a sample counts; crystals drift apart by about 20 ms in that time."""
SAMPLES = 64
STRAYED = 30.0
"""Seconds of lag that a healthy stream never shows: it is held up somewhere, or the cloud's clock was set back."""
_SLACK = 1.0  # seconds that both clocks may be slewed during one request


class CloudClock:
    """Of one cloud; make another for another cloud."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    @property
    def offset(self) -> float | None:
        """Cloud's epoch seconds minus CLOCK_BOOTTIME; None where no server_time came."""
        return max((offset for _, offset in self._samples), default=None)

    def at(self, epoch: float) -> float | None:
        """CLOCK_BOOTTIME at which the cloud's clock shows `epoch`, or None where that is not known."""
        offset = self.offset
        return None if offset is None else epoch - offset

    def answered(self, server_time: float, *, asked: float, arrived: float) -> None:
        """The first word of a stream: `server_time` (epoch s) was read between `asked` and `arrived` (boottime)."""
        most = server_time - asked + _SLACK  # a smaller offset is only a laggier one, a larger one is untrue
        self._samples = deque((sample for sample in self._samples if sample[1] <= most), maxlen=SAMPLES)
        self.heard(server_time, arrived)

    def heard(self, server_time: float, arrived: float) -> None:
        """Any later word: `server_time` was read at some time before `arrived`."""
        while self._samples and arrived - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        self._samples.append((arrived, server_time - arrived))

    def strayed(self) -> bool:
        """Whether the newest word was later than a healthy stream explains."""
        offset = self.offset
        return offset is not None and offset - self._samples[-1][1] > STRAYED
