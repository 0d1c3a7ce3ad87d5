"""EventLog: gives notes their numbers, and hands the newest events to the streams of this process.

Whoever reads numbers: with a stream open here each process does it within a second, and at once after a commit of its
own; without one, each few seconds, so that notes never pile up. With a bell (commands/bell.py) processes tell each
other. The newest events are held once, for all streams; who is further behind reads pages of the database at its own
pace, so a slow reader costs no memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Protocol

import structlog

from visant_cloud.database.engine import DATABASE_ERRORS, Database, first_line
from visant_cloud.store import events
from visant_cloud.store.events import BATCH, Event
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()

TICK = 1.0
"""Seconds between looks while somebody reads here: at most so much later comes what another process changed."""
IDLE = 5.0
"""The same while nobody does."""
TOGETHER = 0.2
"""Seconds between two looks, however much is changed: what comes meanwhile is numbered together."""
HELD = 2000
"""Events in memory."""
PAGE = 500
"""Events that a stream takes at once."""


class Reader(Protocol):
    """An open stream of events."""

    def wake(self) -> None:
        """There is something new."""

    def close(self) -> None:
        """It is to end."""

    async def check(self) -> None:
        """Ends it where its reader may no longer read."""


class EventLog:
    """One per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: set[Reader] = set()
        self._held: deque[Event] = deque()
        self.last = 0
        """The highest number that the streams of this process may be told."""
        self.ring: Callable[[], None] | None = None
        """Tells the other processes that something got its number."""
        self._looking = asyncio.Lock()
        self._joined = asyncio.Event()
        self._complaints = LogThrottle()

    async def run(self) -> None:
        """For ever."""
        while True:
            heard = self._database.written if self._readers or self.ring is not None else self._joined
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK if self._readers else IDLE):
                    await heard.wait()
            heard.clear()
            try:
                await self.look()
            except DATABASE_ERRORS as error:
                if (times := self._complaints.again(f"{type(error).__name__} {first_line(error)}")) is not None:
                    log.warning("events wait for the database", error=first_line(error)[:200], times=times)
                await asyncio.sleep(TICK)
            else:
                self._complaints.over()
            await asyncio.sleep(TOGETHER)

    async def look(self) -> None:
        """Numbers what waits, and reads what is new for the streams. Raises what the database raises."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        waiting, last = await events.look(self._database)
        if waiting:
            await self._number()
            _, last = await events.look(self._database)
            if self.ring is not None:
                self.ring()
        if self._readers and last > self.last:
            await self._read(last)

    async def _number(self) -> None:
        full = True
        while full:
            async with self._database.writing() as connection:
                count = await events.number(connection)
            full = count == BATCH

    async def _read(self, last: int) -> None:
        if last - self.last > HELD:
            self._held.clear()
        else:
            new = await events.after(self._database, self.last, HELD)
            if not new or new[0].event_id != self.last + 1:
                self._held.clear()  # what is held has no hole
            self._held.extend(new)
            last = new[-1].event_id if new else last
            while len(self._held) > HELD:
                self._held.popleft()
        self.last = last
        for reader in list(self._readers):
            reader.wake()

    async def join(self, reader: Reader) -> int:
        """From now on it is woken; the number of the last event before."""
        self._readers.add(reader)
        self._joined.set()
        async with self._looking:
            await self._number()
            _, last = await events.look(self._database)
            if last > self.last:
                await self._read(last)
        return self.last

    async def check(self) -> None:
        """Ends the streams of those who may no longer read. Raises what the database raises."""
        for reader in list(self._readers):
            await reader.check()

    def close(self) -> None:
        """Ends every stream."""
        for reader in self._readers:
            reader.close()

    def leave(self, reader: Reader) -> None:
        """It is over."""
        self._readers.discard(reader)

    async def after(self, event_id: int) -> list[Event]:
        """The next events, at most PAGE; of every organisation, so that a hole between numbers is seen."""
        if event_id >= self.last:
            return []
        first = self._held[0].event_id if self._held else self.last + 1
        if event_id + 1 < first:
            return await events.after(self._database, event_id, PAGE)
        return list(islice(self._held, event_id + 1 - first, event_id + 1 - first + PAGE))
