"""The clock by which what is too old is deleted, for good: it believes nothing that it has not seen for an hour.

A clock that is a year ahead when a process starts, or for an hour, must not cost a year of pictures. So nothing is
deleted before the clock has gone for an hour as CLOCK_BOOTTIME did; and in an hour this clock goes on by a day at most,
also over restarts (`meta`). Whoever comes back after a month is through after a day and a half.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select

from visant_cloud.database.engine import Database
from visant_cloud.store import meta_values
from visant_cloud.store.tables import captures

log = structlog.get_logger()

LOOK_EVERY = 3600.0
"""Seconds for which the clock must have gone right, and in which this one goes on by MOST."""
MOST = timedelta(days=1)
_PLAY = 60.0
_KEY = "deletion_clock"


class DeletionClock:
    """One per process; several go on by a day each."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime],
        elapsed: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._database = database
        self._now = now
        self._elapsed = elapsed
        self._right_since = now(), elapsed()
        self._reached: tuple[datetime, float] | None = None
        """What the last look gave, and when."""

    async def look(self) -> datetime | None:
        """The time up to which something may be called old; None: nothing is deleted this time."""
        now, elapsed = self._now(), self._elapsed()
        then, since = self._right_since
        off = (now - then).total_seconds() - (elapsed - since)
        if abs(off) > _PLAY:
            self._right_since = now, elapsed
            log.warning(
                "the clock was set: nothing is deleted before it has gone right for an hour", by_seconds=round(off)
            )
            return None
        self._right_since = now - timedelta(seconds=elapsed - since), since
        if elapsed - since < LOOK_EVERY:
            return None
        if self._reached is None or elapsed - self._reached[1] >= LOOK_EVERY:
            self._reached = await self._advance(now), elapsed
        return min(now, self._reached[0])

    async def _advance(self, now: datetime) -> datetime:
        """At most MOST beyond the last look of any process; the first time: beyond the newest picture."""
        kept = await meta_values.read(self._database, _KEY)
        newest = select(captures.c.received_at).order_by(captures.c.seq.desc()).limit(1)
        if kept is not None:
            last = datetime.fromisoformat(kept)
        else:
            found = await self._database.read(newest)
            last = found[0][0] if found else now
        reached = min(now, last + MOST)
        if reached < now - timedelta(seconds=_PLAY):
            log.info("old things are deleted a day further at a time", up_to=reached.isoformat(timespec="seconds"))
        async with self._database.writing() as connection:
            await meta_values.put(connection, _KEY, reached.astimezone(UTC).isoformat())
        return reached
