"""The cloud's time: the wall clock without steps that do not last.

A hypervisor that resumes, a person who mistypes a date, a bad time server: the clock is a day ahead for ten seconds,
and every live trigger would be expired and every schedule be a day on. So a step is followed once it has lasted, as
ntpd does it (its `stepout`, https://www.ntp.org/documentation/4.2.8-series/clock/); until then time goes on by
CLOCK_BOOTTIME, which nobody can set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

log = structlog.get_logger()

STEP = 2.0
"""Seconds: by so much the wall clock may run off between two looks without being called set."""
STEPOUT = 60.0
"""Seconds that a step must last before it is followed."""


@dataclass(frozen=True)
class _Doubt:
    step: float
    since: float


class StepFilter:
    """Call it for the time, UTC. One per process; used from its event loop.

    `elapsed`: CLOCK_BOOTTIME, seconds. `begins_at`: another witness's time of now, where there is one: a process that
    starts while the clock is wrong has seen no step.
    """

    def __init__(
        self, wall: Callable[[], datetime], elapsed: Callable[[], float], begins_at: datetime | None = None
    ) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._told = begins_at or wall()
        self._at = elapsed()
        self._doubt: _Doubt | None = None
        self._said = self._at - STEPOUT
        step = (wall() - self._told).total_seconds()
        if abs(step) > STEP:
            self._doubt = _Doubt(step, self._at)
            log.warning(
                "this machine's clock and the database's differ; this machine's is followed if it stays so",
                by_seconds=round(step),
                after_seconds=round(STEPOUT),
            )

    def __call__(self) -> datetime:
        """Now."""
        elapsed, wall = self._elapsed(), self._wall()
        told = self._told + timedelta(seconds=elapsed - self._at)
        step = (wall - told).total_seconds()
        if abs(step) > STEP and not self._lasted(step, elapsed):
            return told
        self._doubt = None
        self._told, self._at = wall, elapsed
        return wall

    def _lasted(self, step: float, elapsed: float) -> bool:
        doubt = self._doubt
        if doubt is None or abs(step - doubt.step) > STEP:
            self._doubt = _Doubt(step, elapsed)
            if elapsed - self._said >= STEPOUT:  # a clock that hops fills no log
                self._said = elapsed
                log.warning(
                    "the clock was set, and is followed only if it stays so",
                    by_seconds=round(step),
                    after_seconds=round(STEPOUT),
                )
            return False
        if elapsed - doubt.since < STEPOUT:
            return False
        log.warning("the clock stays as it was set: followed from now on", by_seconds=round(step))
        return True
