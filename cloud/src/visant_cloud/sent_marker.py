"""Notes, in small batches, which commands were written to a stream, so that streams never wait for the database."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from visant_cloud.store import triggers
from visant_cloud.store.database import Database

log = structlog.get_logger()

_RETRY = 1.0  # seconds


class SentMarker:
    """`pending` becomes `sent`; a note lost with the process only means that the row says `pending` a while longer."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._seqs: set[int] = set()
        self._some = asyncio.Event()

    def sent(self, seqs: Iterable[int]) -> None:
        """These rows were written to a stream."""
        self._seqs.update(seqs)
        self._some.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            batch, self._seqs = self._seqs, set()
            try:
                async with self._database.writing() as connection:
                    await triggers.mark_sent(connection, batch, self._now())
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("commands not marked as sent, trying again", error=str(error)[:200])
                self.sent(batch)
                await asyncio.sleep(_RETRY)
