"""What the connector counts and says about itself, as facts of its heartbeat."""

from typing import Any

import structlog

from visant_connector.admission import AdmissionResult
from visant_runtime.heartbeat import Heartbeat

log = structlog.get_logger()

LOOP = "stream"
"""The one loop of this process, as the heartbeat names it."""
BEAT_WITHIN = 30.0
"""Seconds; no single wait of the loop is longer than a few."""
TICK = 5.0
"""Seconds at most between two beats while nothing comes."""


class Counters:
    """One per process. `stream` is read by the updater: a confirmed stream is its sign that a release works."""

    def __init__(self, heart: Heartbeat) -> None:
        self._heart = heart
        self._counts = {"admitted": 0, "duplicates": 0, "reconnects": 0, "left_out": 0, "gaps": 0}
        self._results = {result.value: 0 for result in AdmissionResult}
        self._since: float | None = None
        self._last: float | None = None
        for name, count in self._counts.items():
            heart.fact(name, count)
        self._tell_results()
        self.lost()

    def command(self, result: AdmissionResult) -> None:
        """One command has been answered by Redis."""
        self._results[result.value] += 1
        self._tell_results()
        new = result in (AdmissionResult.ADMITTED, AdmissionResult.UNREMEMBERED)
        self._count("admitted" if new else "duplicates")

    def left_out(self, why: str) -> None:
        """A line or a message was left out; said sparingly, a broken cloud may send thousands."""
        self._count("left_out")
        count = self._counts["left_out"]
        if count <= 10 or count % 100 == 0:
            log.warning("left out", why=why, count=count)

    def gap(self) -> None:
        """A ping named a command that had not come."""
        self._count("gaps")

    def confirmed(self, boottime: float, **facts: Any) -> None:
        """The cloud said `connected` at `boottime` (CLOCK_BOOTTIME, seconds)."""
        self._since = boottime
        for name, value in facts.items():
            self._heart.fact(name, value)
        self.event(boottime)

    def event(self, boottime: float) -> None:
        """Something came at `boottime`."""
        self._last = boottime
        self.tick(boottime)

    def tick(self, now: float) -> None:
        """Renews what changes by itself."""
        self._heart.fact("connected_since_boottime", self._since)
        self._heart.fact("last_event_age", None if self._last is None else round(now - self._last, 1))
        self._tell()

    def reconnect(self) -> None:
        """A stream, or an attempt at one, failed."""
        self._count("reconnects")

    def lost(self) -> None:
        """No stream is confirmed."""
        self._since = None
        self._tell()

    def _tell(self) -> None:
        self._heart.fact(
            "stream",
            {
                "confirmed": self._since is not None,
                "since_boottime": self._since,
                "last_event_boottime": self._last,
            },
        )

    def _tell_results(self) -> None:
        """By the words of admit.lua; `admitted` and `duplicates` above are sums of these."""
        self._heart.fact("commands", dict(self._results))

    def _count(self, name: str) -> None:
        self._counts[name] += 1
        self._heart.fact(name, self._counts[name])
