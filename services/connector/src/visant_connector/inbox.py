"""Between the network and Redis: a task that reads the stream into a small queue, and whoever empties it.

The queue is what lets several commands share one flush to the card. It is full after QUEUED events; then nothing is
read from the network, TCP holds the rest, and the cloud keeps what it could not send.
"""

import asyncio
from dataclasses import dataclass

from visant_connector.cloud_stream import CloudStream, Received
from visant_contract.errors import Misconfigured, Retryable
from visant_runtime.lifecycle import Stop

QUEUED = 64


@dataclass(frozen=True)
class Opened:
    """The cloud answered 200 with an event stream."""


@dataclass(frozen=True)
class Ended:
    """Nothing more comes from this stream."""

    error: Retryable | Misconfigured


Item = Opened | Received | Ended


class Inbox:
    """One stream, from its request to its end."""

    def __init__(self, stream: CloudStream) -> None:
        self._stream = stream
        self._queue: asyncio.Queue[Item] = asyncio.Queue(QUEUED)
        self._reader: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begins to read, as a child of `tasks`: an unexpected error there ends the process."""
        self._reader = tasks.create_task(self._read())

    def close(self) -> None:
        """Ends the stream; what was read stays. Safe to call twice."""
        if self._reader is not None:
            self._reader.cancel()

    @property
    def closed(self) -> bool:
        """Whether nothing is read any more."""
        return self._reader is None or self._reader.done() or self._reader.cancelling() > 0

    async def _read(self) -> None:
        try:
            async with self._stream.open() as events:
                await self._queue.put(Opened())
                async for event in events:
                    await self._queue.put(event)
        except (Retryable, Misconfigured) as error:
            await self._queue.put(Ended(error))

    async def take(self, stop: Stop, tick: float) -> list[Item]:
        """All that is there, at least one item; nothing after `tick` seconds, at the stop, or after `close`."""
        items: list[Item] = []
        if self._queue.empty() and not stop.is_set() and not self.closed:
            items += await self._wait(stop, tick)
        while not self._queue.empty():
            items.append(self._queue.get_nowait())
        return items

    async def _wait(self, stop: Stop, tick: float) -> list[Item]:
        getting = asyncio.create_task(self._queue.get())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({getting, stopping}, timeout=tick, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if getting.done():
            return [getting.result()]
        getting.cancel()
        return []
