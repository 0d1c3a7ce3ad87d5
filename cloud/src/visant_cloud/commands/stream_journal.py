"""What streams write down (sent, seen, versions), gathered into few writes, so that no stream ever waits for one.

A thousand devices that come back at once cost one write, not a thousand.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from visant_cloud.database.engine import DATABASE_ERRORS, Database, first_line
from visant_cloud.store import device_states, devices, triggers
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()

_RETRY = 1.0
"""Seconds between attempts where the database refuses."""
_VERSIONS = 200
"""Versions written at once: each is a statement, and SQLite's other writers wait meanwhile."""


class StreamJournal:
    """Commands written (`pending` becomes `sent`), devices seen, and the versions that they named.

    An entry lost with the process only means that a row says `pending`, or a device stays unseen, a while longer.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._seqs: set[int] = set()
        self._device_keys: set[str] = set()
        self._versions: dict[str, str] = {}
        self._complaints = LogThrottle()
        self._entries = asyncio.Event()

    def mark_sent(self, seqs: Iterable[int]) -> None:
        """These triggers were written to a stream."""
        self._seqs.update(seqs)
        self._entries.set()

    def mark_seen(self, device_key: str) -> None:
        """This device opened or left a stream just now."""
        self._device_keys.add(device_key)
        self._entries.set()

    def mark_version(self, device_key: str, version: str) -> None:
        """This device named another version than the one that is known."""
        self._versions[device_key] = version
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
        versions = dict(itertools.islice(self._versions.items(), _VERSIONS))
        if not seqs and not device_keys and not versions:
            return True
        try:
            # short transactions: none waits for a lock while it holds another's
            if seqs:
                async with self._database.writing_alone() as connection:
                    await triggers.mark_sent(connection, seqs, self._now())
            if device_keys:
                async with self._database.writing_alone() as connection:
                    await device_states.mark_seen(connection, device_keys, self._now())
            if versions:
                async with self._database.writing() as connection:
                    for device_key in sorted(versions):  # in one order everywhere: no two processes wait for each other
                        await devices.change(connection, device_key, device_version=versions[device_key])
        except DATABASE_ERRORS as error:
            times = self._complaints.again(f"{type(error).__name__} {first_line(error)}")
            if times is not None:
                log.warning("what streams did is not noted yet, trying again", error=first_line(error)[:200])
            self._seqs |= seqs
            self._device_keys |= device_keys
            self._entries.set()
            return False
        self._complaints.over()
        for device_key, version in versions.items():
            if self._versions.get(device_key) == version:
                del self._versions[device_key]
        if self._versions:
            self._entries.set()
        return True
