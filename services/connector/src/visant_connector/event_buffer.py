"""Between the network and Redis: a task that reads the stream into a small queue, and whoever empties it.

The queue is what lets several commands share one flush to the card. When it is full nothing is read from the
network, TCP holds the rest, and the cloud keeps what it could not send.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from visant_connector.cloud_stream import CloudStream, Received
from visant_contract.errors import Misconfigured, Retryable
from visant_runtime.lifecycle import Stop

QUEUED = 64
"""Events at most."""
QUEUED_BYTES = 1 << 20
"""No further event is read while those that wait are longer than this together."""


@dataclass(frozen=True)
class StreamOpened:
    """The cloud answered 200 with an event stream."""


@dataclass(frozen=True)
class StreamClosed:
    """Nothing more comes from this stream."""

    error: Retryable | Misconfigured


BufferedItem = StreamOpened | Received | StreamClosed


class EventBuffer:
    """One stream, from its request to its end."""

    def __init__(self, stream: CloudStream) -> None:
        self._stream = stream
        self._items: deque[BufferedItem] = deque()
        self._bytes = 0
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begins to read, as a child of `tasks`: an unexpected error there ends the process."""
        self._reader = tasks.create_task(self._read())

    def close(self) -> None:
        """Ends the stream; what was read stays. Safe to call twice."""
        if self._reader is not None:
            self._reader.cancel()
        self._something.set()

    async def drain(self, stop: Stop, tick: float) -> list[BufferedItem]:
        """All that is there, at least one item; nothing after `tick` seconds, at the stop, or after `close`."""
        if not self._something.is_set() and not stop.is_set():
            waits = [asyncio.create_task(self._something.wait()), asyncio.create_task(stop.wait())]
            await asyncio.wait(waits, timeout=tick, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        items = list(self._items)
        self._items.clear()
        self._bytes = 0
        self._something.clear()
        self._room.set()
        return items

    async def _read(self) -> None:
        try:
            async with self._stream.open() as events:
                await self._put(StreamOpened())
                async for event in events:
                    await self._put(event)
        except (Retryable, Misconfigured) as error:
            await self._put(StreamClosed(error))

    async def _put(self, item: BufferedItem) -> None:
        while len(self._items) >= QUEUED or self._bytes > QUEUED_BYTES:
            self._room.clear()
            await self._room.wait()
        self._items.append(item)
        self._bytes += item.size if isinstance(item, Received) else 0
        self._something.set()
