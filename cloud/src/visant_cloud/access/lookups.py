"""DeviceLookups: reads the devices that requests are about for all of them at once.

A lone request is read at once; those that come while a read is under way share the next one. So each answer is at
least as new as its request, and a fleet that returns after a restart costs a few statements.
"""

import asyncio
import time
from collections.abc import Collection

from visant_cloud.database.engine import Database
from visant_cloud.store import devices
from visant_cloud.store.devices import Device

_AT_ONCE = 500
_FRESH = 1.0
"""Seconds for which one look through all devices serves all strangers."""
_Key = tuple[bool, str]
"""(by token, its hash) or (not, the device's key)."""


class DeviceLookups:
    """One per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: list[tuple[_Key, asyncio.Future[Device | None]]] = []
        self._reading: asyncio.Task[None] | None = None
        self._by_id_alone = asyncio.Lock()
        self._any: tuple[float, int, bool] = (0.0, -1, False)
        """When it was read, at which mark of the hub, and what."""

    async def any_by_id_alone(self, mark: int) -> bool:
        """Whether some device may come without a token, as of a second ago, or of `mark` (hub.mark) if that is later.

        It is a look through all devices, so strangers share it, however many come.
        """
        async with self._by_id_alone:
            at, known, found = self._any
            if known != mark or time.monotonic() - at > _FRESH:
                found = await devices.any_by_id_alone(self._database)
                self._any = time.monotonic(), mark, found
            return found

    async def by_token(self, token_hash: str) -> Device | None:
        """The device that holds this token, or None. Raises what the database raises."""
        return await self._look_up((True, token_hash))

    async def by_key(self, device_key: str) -> Device | None:
        """The device, or None. Raises what the database raises."""
        return await self._look_up((False, device_key))

    async def _look_up(self, key: _Key) -> Device | None:
        answer: asyncio.Future[Device | None] = asyncio.get_running_loop().create_future()
        self._asked.append((key, answer))
        if self._reading is None:  # a task of its own: a request that is given up cuts off no read
            self._reading = asyncio.create_task(self._read_all())
        return await answer

    async def _read_all(self) -> None:
        while self._asked:
            chosen, self._asked = self._asked[:_AT_ONCE], self._asked[_AT_ONCE:]
            try:
                found = await self._read({key for key, _ in chosen})
            except Exception as error:  # noqa: BLE001 - it is theirs who asked
                for _, answer in chosen:
                    if not answer.done():
                        answer.set_exception(error)
            else:
                for key, answer in chosen:
                    if not answer.done():
                        answer.set_result(found.get(key))
        self._reading = None

    async def _read(self, wanted: Collection[_Key]) -> dict[_Key, Device]:
        hashes = [word for by_token, word in wanted if by_token]
        keys = [word for by_token, word in wanted if not by_token]
        by_token = await devices.by_token(self._database, hashes) if hashes else {}
        by_key = await devices.by_key(self._database, keys) if keys else {}
        found = {(True, word): by_token[word] for word in hashes if word in by_token}
        return found | {(False, word): by_key[word] for word in keys if word in by_key}
