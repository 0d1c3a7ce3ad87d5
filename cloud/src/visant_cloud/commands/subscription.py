"""One open stream of a device: what is on its way to it, and when it is to end."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from visant_cloud.store.devices import Device
from visant_cloud.store.stream_reads import Waiting


class Subscription:
    """One open stream of a device, as the device was when it came in. Few fields: there are ten thousand of them."""

    __slots__ = (
        "_waiter",
        "by_id_alone",
        "closed",
        "commands",
        "config",
        "device_key",
        "duplicate",
        "gone",
        "last_id",
        "last_seq",
        "more",
        "newer_elsewhere",
        "next_ping",
        "ping_every",
        "rows",
        "send",
        "stalled",
        "token_hash",
    )

    def __init__(self, device: Device, duplicate: bool) -> None:
        self.device_key = device.device_key
        self.token_hash = device.token_hash
        """Hash of the token that the device had when it came in."""
        self.by_id_alone = device.by_id_alone
        """It came without a token."""
        self.config = device.config
        """The settings that this stream told last."""
        self.duplicate = duplicate
        self.ping_every = 0.0
        self.next_ping = 0
        self.send: Any = None
        """ASGI's `send`, from the first event on."""
        self.stalled: Callable[[], bool] = _never
        """Whether the peer reads too slowly to be sent a ping now."""
        self.last_seq = 0
        """Of the last trigger that was read for this stream."""
        self.last_id: int | None = None
        """Of the last command that was sent on this stream."""
        self.commands = 0
        """Sent on this stream so far."""
        self.rows: Sequence[Waiting] = ()
        """Read by the loader, not yet sent."""
        self.more = False
        """More may wait than `rows` holds."""
        self.newer_elsewhere = 0
        """Streams of this device that other processes opened since."""
        self.closed = False
        self.gone = False
        self._waiter: asyncio.Future[None] | None = None

    def deliver(self, rows: Sequence[Waiting], more: bool) -> None:
        """The loader has read for this stream."""
        self.rows = rows
        self.more |= more
        if rows:
            self.last_seq = rows[-1].seq
        self._wake()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._wake()

    def lost(self) -> None:
        """The connection is gone."""
        self.gone = self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> bool:
        """Until there are rows (True) or the stream is to end (False)."""
        while not self.closed:
            if self.rows or self.more:
                return True
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return False


def _never() -> bool:
    return False
