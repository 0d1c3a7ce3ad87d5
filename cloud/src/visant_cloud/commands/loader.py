"""TriggerLoader: reads what waits for all streams that were nudged, in one statement, and hands it out.

No stream reads alone: a thousand devices triggered at once cost a few statements and one connection. A database that
is slow or away delays, it ends no stream: who wanted to read still wants to.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from visant_cloud.commands.hub import CommandHub
from visant_cloud.database.engine import DATABASE_ERRORS, Database, first_line
from visant_cloud.store import stream_reads

log = structlog.get_logger()

_STREAMS = 500
"""Streams that are read for at once."""
_EACH = 50
"""Commands of one stream at once; the next are read when these are sent, so a long backlog comes in pieces."""
_TOTAL = 2000
"""Commands at once: a few megabytes."""
_WITHIN = 20.0
"""Seconds after which a read is given up and tried again."""
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts where the database does not answer; the last from then on."""


class TriggerLoader:
    """One per process."""

    def __init__(self, database: Database, hub: CommandHub, now: Callable[[], datetime]) -> None:
        self._database = database
        self._hub = hub
        self._now = now
        self._since: float | None = None

    def lag(self) -> float:
        """Seconds for which streams have wanted to read and nothing was read."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    async def run(self) -> None:
        """For ever."""
        failed = 0
        while True:
            await self._hub.wanted.wait()
            self._since = self._since or time.monotonic()
            try:
                await self.load()
            except DATABASE_ERRORS as error:
                if not failed:
                    log.warning("streams wait for the database", error=first_line(error)[:200])
                await asyncio.sleep(_PAUSES[min(failed, len(_PAUSES) - 1)])
                failed += 1
            else:
                if failed:
                    log.info("streams are served again", attempts=failed)
                failed = 0
                self._since = None

    async def load(self) -> None:
        """One statement, for the streams that have waited longest. Raises what the database raises; they wait on."""
        with self._hub.asking(_STREAMS) as streams:
            if not streams:
                return
            asked = [(one.device_key, one.last_seq) for one in streams]
            async with asyncio.timeout(_WITHIN):
                found = await stream_reads.waiting(self._database, asked, self._now(), _EACH, _TOTAL)
        full = sum(len(rows or ()) for rows in found) == _TOTAL
        last = max((place for place, rows in enumerate(found) if rows), default=0)
        for place, (stream, rows) in enumerate(zip(streams, found, strict=True)):
            if rows is None:
                self._hub.ask(stream)
            elif rows or stream.more:
                stream.deliver(rows, more=len(rows) == _EACH or (full and place == last))
