"""CommandHub: which streams are open, and a nudge for each when there is something to send.

It holds no commands. A nudged stream is put down as one that wants to read; the loader (loader.py) reads for all of
them at once. So a burst of any size costs no memory, a slow reader holds up nobody, and a nudge that comes between a
read and the next is never lost.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from visant_cloud.commands.subscription import Subscription
from visant_cloud.store.devices import Device

STREAMS_OF_ONE = 2
"""Open streams that one device may have; one more ends its oldest. A device that lost its network comes back while
its last connection is still half open here, so one is not enough; it must get in however many it left behind."""


class Bell(Protocol):
    """How other processes are told (bell.py)."""

    def nudge(self, device_key: str) -> None:
        """Something was committed for this device."""

    def disconnect(self, device_key: str, *, by_id_alone: bool) -> None:
        """Its streams are to end."""

    def opened(self, device_key: str) -> None:
        """This process holds one stream more of it."""

    def left(self, device_key: str) -> None:
        """This process holds one stream less of it."""

    async def confirm(self, device_key: str) -> None:
        """Makes `elsewhere` true of this device."""


class CommandHub:
    """One per process; used from its event loop only."""

    def __init__(self) -> None:
        self._streams: dict[str, dict[Subscription, None]] = {}
        self._closed = False
        self._reading: dict[Subscription, None] = {}
        self._asked: dict[Subscription, None] = {}
        self.wanted = asyncio.Event()
        """Some stream wants to read."""
        self.elsewhere: dict[str, int] = {}
        """device_key -> open streams that other processes on this database hold (peers.py, bell.py)."""
        self.bell: Bell | None = None
        self._count = itertools.count(1)
        self._changes = 0
        self._changed: dict[str, int] = {}
        self._changed_somewhere = 0

    @contextmanager
    def subscribe(self, device: Device) -> Iterator[Subscription]:
        """An open stream of this device, for the length of the block."""
        subscription = self.open(device)
        try:
            yield subscription
        finally:
            self.leave(subscription)

    def open(self, device: Device) -> Subscription:
        """An open stream of this device, until `leave`."""
        key = device.device_key
        streams = self._streams.setdefault(key, {})
        before = [one for one in streams if not one.closed]
        subscription = Subscription(device, duplicate=bool(before) or key in self.elsewhere)
        if self._closed:
            subscription.close()
        streams[subscription] = None
        if len(before) >= STREAMS_OF_ONE:
            before[0].close()
        if self.bell is not None:
            self.bell.opened(key)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """It is over."""
        key = subscription.device_key
        subscription.closed = True
        self._asked.pop(subscription, None)
        streams = self._streams.get(key)
        if streams is not None and streams.pop(subscription, subscription) is None:
            if not streams:
                del self._streams[key]
            if self.bell is not None:
                self.bell.left(key)

    def ask(self, subscription: Subscription) -> None:
        """This stream wants to read what waits after the last that it read."""
        if subscription.closed:
            return
        if subscription.rows or subscription in self._reading:
            subscription.more = True  # it asks again when those are sent
        else:
            self._asked[subscription] = None
            self.wanted.set()

    def is_reading(self, subscription: Subscription) -> bool:
        """Whether something is on its way to this stream."""
        return subscription in self._asked or subscription in self._reading or bool(subscription.rows)

    @contextmanager
    def asking(self, limit: int) -> Iterator[list[Subscription]]:
        """At most `limit` streams that want to read, the longest waiting first; where the block raises, they still do.

        Who is nudged meanwhile reads once more.
        """
        chosen = list(itertools.islice(self._asked, limit))
        for one in chosen:
            del self._asked[one]
        self._reading = dict.fromkeys(chosen)
        try:
            yield chosen
        except BaseException:
            self._asked = dict.fromkeys(one for one in (*chosen, *self._asked) if not one.closed)
            raise
        finally:
            self._reading = {}
            if self._asked:
                self.wanted.set()
            else:
                self.wanted.clear()

    def nudge(self, device_key: str) -> None:
        """Something was committed for this device."""
        self.nudge_here(device_key)
        if self.bell is not None and device_key in self.elsewhere:
            self.bell.nudge(device_key)

    def nudge_here(self, device_key: str) -> None:
        """The same, for the streams of this process alone."""
        for subscription in self._streams.get(device_key, ()):
            self.ask(subscription)

    def disconnect(self, device_key: str, *, by_id_alone: bool = False) -> None:
        """Ends the streams of this device, or only those that its id alone let in; who may still come reconnects."""
        self.disconnect_here(device_key, by_id_alone=by_id_alone)
        if self.bell is not None:
            self.bell.disconnect(device_key, by_id_alone=by_id_alone)

    def disconnect_here(self, device_key: str, *, by_id_alone: bool = False) -> None:
        """The same, for the streams of this process alone."""
        self._changes = self._changed[device_key] = next(self._count)
        for subscription in self._streams.get(device_key, ()):
            if subscription.by_id_alone or not by_id_alone:
                subscription.close()

    def mark(self) -> int:
        """Now, for `changed_since`."""
        return self._changes

    def changed_since(self, mark: int, device_key: str) -> bool:
        """Whether `disconnect` was said of this device since, or `changed_somewhere` of any: what was read of it before
        that may be out of date."""
        return max(self._changed_somewhere, self._changed.get(device_key, 0)) > mark

    def changed_somewhere(self) -> None:
        """Another process changed something about who may come in; about whom is not said."""
        self._changes = self._changed_somewhere = next(self._count)

    def opened_elsewhere(self, device_key: str) -> None:
        """Another process holds a newer stream of this device: of too many, the oldest ends."""
        streams = [one for one in self._streams.get(device_key, ()) if not one.closed]
        for newer, subscription in enumerate(reversed(streams)):
            subscription.newer_elsewhere += 1
            if newer + subscription.newer_elsewhere >= STREAMS_OF_ONE:
                subscription.close()

    def close(self) -> None:
        """Ends every stream, now and from now on."""
        self.refuse()
        for subscription in self.subscriptions():
            subscription.close()

    async def close_within(self, seconds: float, rate: float) -> None:
        """The same, one after the other, `rate` a second where `seconds` allow it: not all come back at one instant."""
        self.refuse()
        waiting = deque(self.subscriptions())
        if not waiting:
            return
        pause = 0.05
        each = max(1, round(max(rate, len(waiting) / seconds) * pause))
        while waiting:
            for _ in range(min(each, len(waiting))):
                waiting.popleft().close()
            await asyncio.sleep(pause)

    def refuse(self) -> None:
        """Streams that open from now on end at once."""
        self._closed = True

    @property
    def closing(self) -> bool:
        """Whether the process is about to end."""
        return self._closed

    def subscribers(self, device_key: str) -> int:
        """Open streams of one device, of every process."""
        return len(self._streams.get(device_key, ())) + self.elsewhere.get(device_key, 0)

    def subscriptions(self) -> list[Subscription]:
        """Every open stream of this process."""
        return [one for streams in self._streams.values() for one in streams]

    def connected(self) -> dict[str, int]:
        """device_key -> open streams of every process, for every device that has one."""
        return {key: self.subscribers(key) for key in sorted({*self._streams, *self.elsewhere})}

    def connected_here(self) -> dict[str, int]:
        """device_key -> open streams of this process alone."""
        return {key: len(streams) for key, streams in self._streams.items()}

    def count_here(self, device_key: str) -> int:
        """Open streams of one device, of this process alone."""
        return len(self._streams.get(device_key, ()))

    async def settle(self, device_key: str) -> None:
        """Before a stream of this device opens: what is said of other processes is made sure of, or not counted.

        A device that moved, or whose process was killed, is no duplicate of itself.
        """
        if device_key not in self.elsewhere:
            return
        if self.bell is None:
            del self.elsewhere[device_key]  # seconds old; the next look counts it again, should it be true
        else:
            await self.bell.confirm(device_key)
