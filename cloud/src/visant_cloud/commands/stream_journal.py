"""What streams write down (sent, seen), gathered into few writes, so that no stream ever waits for one.

A thousand devices that come back at once cost one write, not a thousand.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from visant_cloud.store import devices, triggers
from visant_cloud.store.database import DATABASE_ERRORS, Database

log = structlog.get_logger()

_RETRY = 1.0
"""Seconds between attempts where the database refuses."""


class StreamJournal:
    """Commands written (`pending` becomes `sent`) and devices seen.

    An entry lost with the process only means that a row says `pending`, or a device stays unseen, a while longer.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._seqs: set[int] = set()
        self._device_keys: set[str] = set()
        self._entries = asyncio.Event()

    def mark_sent(self, seqs: Iterable[int]) -> None:
        """These triggers were written to a stream."""
        self._seqs.update(seqs)
        self._entries.set()

    def mark_seen(self, device_key: str) -> None:
        """This device opened or left a stream just now."""
        self._device_keys.add(device_key)
        self._entries.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._entries.wait()
            if not await self.flush():
                await asyncio.sleep(_RETRY)

    async def flush(self) -> bool:
        """Writes the entries; False where the database refused, and they are kept."""
        self._entries.clear()
        seqs, self._seqs = self._seqs, set()
        device_keys, self._device_keys = self._device_keys, set()
        if not seqs and not device_keys:
            return True
        try:
            async with self._database.writing() as connection:
                await triggers.mark_sent(connection, seqs, self._now())
                await devices.mark_seen(connection, device_keys, self._now())
        except DATABASE_ERRORS as error:
            log.warning("what streams did is not noted yet, trying again", error=str(error)[:200])
            self._seqs |= seqs
            self._device_keys |= device_keys
            self._entries.set()
            return False
        return True
