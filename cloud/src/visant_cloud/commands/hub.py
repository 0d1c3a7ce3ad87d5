"""CommandHub: which streams are open, and a nudge for each when there is something to send.

It holds no commands. A stream that is nudged reads what waits in the ledger, so a burst of any size costs no
memory, a slow reader holds up nobody, and a nudge that comes between a read and the next is never lost.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from visant_cloud.store.devices import Device


class Subscription:
    """One open stream of a device, as the device was when it came in (`by_id_alone`: without a token)."""

    def __init__(self, device: Device, duplicate: bool) -> None:
        self.device = device
        self.duplicate = duplicate
        self.config = device.config
        """The settings that this stream told last."""
        self.closed = False
        self._nudge = asyncio.Event()

    def nudge(self) -> None:
        """There may be something to send."""
        self._nudge.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._nudge.set()

    async def wait(self, seconds: float) -> bool:
        """Until a nudge (True) or for `seconds` (False)."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._nudge.wait()
        except TimeoutError:
            return False
        self._nudge.clear()
        return True


class CommandHub:
    """One per process; used from its event loop only."""

    def __init__(self) -> None:
        self._streams: dict[str, set[Subscription]] = {}
        self._closed = False
        self.elsewhere: dict[str, int] = {}
        """device_key -> open streams that other processes on this database hold (peers.py)."""

    @contextmanager
    def subscribe(self, device: Device) -> Iterator[Subscription]:
        """An open stream of this device, for the length of the block."""
        device_key = device.device_key
        streams = self._streams.setdefault(device_key, set())
        subscription = Subscription(device, duplicate=self.subscribers(device_key) > 0)
        if self._closed:
            subscription.close()
        streams.add(subscription)
        try:
            yield subscription
        finally:
            streams.discard(subscription)
            if not streams and self._streams.get(device_key) is streams:
                del self._streams[device_key]

    def nudge(self, device_key: str) -> None:
        """Something was committed for this device."""
        for subscription in self._streams.get(device_key, ()):
            subscription.nudge()

    def disconnect(self, device_key: str, *, by_id_alone: bool = False) -> None:
        """Ends the streams of this device, or only those that its id alone let in; who may still come reconnects."""
        for subscription in self._streams.get(device_key, ()):
            if subscription.device.by_id_alone or not by_id_alone:
                subscription.close()

    def close(self) -> None:
        """Ends every stream, now and from now on."""
        self._closed = True
        for device_key in self._streams:
            self.disconnect(device_key)

    def subscribers(self, device_key: str) -> int:
        """Open streams of one device, of every process."""
        return len(self._streams.get(device_key, ())) + self.elsewhere.get(device_key, 0)

    def subscriptions(self) -> list[Subscription]:
        """Every open stream of this process."""
        return [one for streams in self._streams.values() for one in streams]

    def connected(self) -> dict[str, int]:
        """device_key -> open streams of every process, for every device that has one."""
        return {device_key: self.subscribers(device_key) for device_key in sorted({*self._streams, *self.elsewhere})}

    def connected_here(self) -> dict[str, int]:
        """device_key -> open streams of this process alone."""
        return {device_key: len(streams) for device_key, streams in self._streams.items()}
