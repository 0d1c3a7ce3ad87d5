"""When was a network frame exposed? Its own stamp says so while the stamps keep time; else its arrival has to do."""

import math
from enum import Enum

WINDOW = 30.0
"""Seconds after which an old smallest delay is forgotten: the camera's clock drifts against ours by up to 0.1 ms/s."""
STEP = 1.0
"""Seconds over which the smallest delay is taken to see whether the stamps keep time."""
AGREE = 0.06
"""Seconds by which it may change from one step to the next: stamps at 90 % of the true rate change it by 0.1."""
BACKLOG = 30.0
"""Seconds that delays may go on shrinking while a backlog arrives; then it is the stamps that run too fast."""
STILL = 4
"""Frames with one stamp: one frame never carries so many pictures."""
LATE, LATE_FOR = 0.5, 10.0
"""Stamps that say for LATE_FOR seconds that every frame is over LATE old keep time no more."""
ARRIVAL_LATE = 2.0
"""Seconds that a frame may be old when it arrives, where its stamp cannot tell: more than the 1.5 s of silence after
which the stream is opened anew, and what has waited so long with it."""


class Trust(Enum):
    """What a frame's stamp is worth."""

    UNKNOWN = "it may be one of a backlog: nobody knows its age"
    ARRIVAL = "the stamps do not keep time: it is as old as the way here is long"
    STAMP = "the stamps keep time"


class StreamClock:
    """Turns a frame's own stamp into our clock, by the smallest delay seen lately, while the stamps keep time.

    A frame cannot arrive before it was exposed, so of all frames the one with the smallest (arrival - stamp) was
    delayed least; every other frame's delay is measured against it. What remains is that smallest delay itself:
    encoder, network and decoder at their best. Of two windows the older is dropped each WINDOW seconds.

    Stamps keep time while the smallest delay stays what it is, from step to step. It grows where they run slow or stand
    still, and shrinks while a backlog arrives. Stamps that run back are others from there on.
    """

    def __init__(self) -> None:
        self.trust = Trust.UNKNOWN
        self._began = math.inf
        self._before = -math.inf
        self._still = 0
        self._recent = self._older = math.inf
        self._turn = -math.inf
        self._step = self._last_step = math.inf
        self._step_end = -math.inf
        self._in_time_at = -math.inf

    def exposed(self, stamp: float, arrival: float) -> float:
        """Seconds on our clock, at most `arrival`; both in seconds. `trust` then says what it is worth."""
        if math.isinf(self._began):
            self._began, self._step_end = arrival, arrival + STEP
        self._still = self._still + 1 if stamp == self._before else 1
        if stamp < self._before or self._still == STILL:
            self._anew(arrival)
        self._before = stamp
        delay = arrival - stamp
        if arrival >= self._step_end:
            self._judge(arrival)
        self._step = min(self._step, delay)
        if self.trust is not Trust.STAMP:
            return arrival
        return self._by_stamp(stamp, arrival)

    def _by_stamp(self, stamp: float, arrival: float) -> float:
        if arrival - self._turn >= WINDOW:
            self._older, self._recent = self._recent, math.inf
            self._turn = arrival
        self._recent = min(self._recent, arrival - stamp)
        moment = min(arrival, stamp + min(self._recent, self._older))
        if arrival - moment <= LATE:
            self._in_time_at = arrival
        elif arrival - self._in_time_at > LATE_FOR:
            self._anew(arrival)
            return arrival
        return moment

    def _anew(self, arrival: float) -> None:
        """The stamps so far say nothing of those to come."""
        if self.trust is Trust.STAMP:
            self.trust = Trust.UNKNOWN
            self._began = arrival
        self._step = self._last_step = math.inf
        self._step_end = arrival + STEP
        if self.trust is Trust.UNKNOWN and arrival - self._began >= 3 * STEP:
            self.trust = Trust.ARRIVAL  # they run back again and again

    def _judge(self, arrival: float) -> None:
        """At the end of a step."""
        change = self._step - self._last_step
        if math.isinf(self._last_step):
            change = math.nan
        smallest = min(self._step, self._last_step)
        self._last_step, self._step, self._step_end = self._step, math.inf, arrival + STEP
        if abs(change) <= AGREE:
            if self.trust is not Trust.STAMP:
                self.trust = Trust.STAMP
                self._recent, self._older, self._turn, self._in_time_at = smallest, math.inf, arrival, arrival
        elif self.trust is Trust.STAMP:
            return  # a hiccup: what lasts is found by its frames being late
        elif change > AGREE or arrival - self._began >= BACKLOG:
            self.trust = Trust.ARRIVAL
