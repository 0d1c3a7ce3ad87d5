"""One open stream of events: what is said on it, from where, and when it ends.

One task a stream, the request's own, as for devices (commands/event_stream.py). It is told what was committed, in the
order of the numbers; where numbers are missing it says `gap`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from visant_cloud.access.shares import Share
from visant_cloud.commands.event_stream import CONNECTION, HEADERS
from visant_cloud.context import Cloud
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.events.selection import Selection
from visant_cloud.problems import Refusal
from visant_cloud.store import events
from visant_cloud.store.events import Event
from visant_cloud.times import time

log = structlog.get_logger()

RETRY = 3000
"""Milliseconds after which a client that honours `retry:` comes back."""
_AGAIN = 1.0
"""Seconds until a database that does not answer is asked again."""


def frame(data: dict[str, Any], event_id: int | None = None) -> bytes:
    """One SSE event: its number, from which one goes on, and one line of JSON."""
    line = b"data: %b\n\n" % json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return line if event_id is None else b"id: %d\n%b" % (event_id, line)


def told(event: Event) -> bytes:
    """An event as it is sent."""
    head = {"id": event.event_id, "type": event.type, "at": time(event.at), "device_id": event.device_id}
    return frame({**head, "data": event.data}, event.event_id)


def _never() -> bool:
    return False


class EventStream:
    """One per open stream. `after`: the last number that its reader knows; None: it wants what comes from now on."""

    def __init__(
        self, cloud: Cloud, wanted: Selection, after: int | None, still_allowed: Callable[[], Awaitable[object]]
    ) -> None:
        self._cloud = cloud
        self._wanted = wanted
        self._after = after
        self._still_allowed = still_allowed
        self._position = 0
        """The number up to which everything was told or passed over."""
        self._news = asyncio.Event()
        self.closed = self.gone = False
        self.stalled: Callable[[], bool] = _never

    def wake(self) -> None:
        """There is something new."""
        self._news.set()

    def close(self) -> None:
        """It is to end."""
        self.closed = True
        self.wake()

    def lost(self) -> None:
        """The connection is gone."""
        self.gone = True
        self.close()

    async def check(self) -> None:
        """Ends it where its reader may no longer read. Raises what the database raises."""
        try:
            await self._still_allowed()
        except Refusal:
            log.info("event stream ended: its reader is no longer welcome")
            self.close()

    async def run(self, send: Send) -> None:
        """Until the reader goes, may no longer read, or the server stops."""
        newest = await self._cloud.events.join(self)
        if self._cloud.hub.closing:
            self.close()
        first, oldest = await self._begin(newest)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        head = {"type": "connected", "server_time": time(self._cloud.now()), "last_id": newest, "oldest_id": oldest}
        await self._send(send, b"retry: %d\n%b%b" % (RETRY, frame(head, self._position), first))
        while not self.closed:
            self._news.clear()
            try:
                page = await self._cloud.events.after(self._position)
                await self._wanted.refresh(self._cloud.database)
            except DATABASE_ERRORS:  # whoever looks for news says so
                await asyncio.sleep(_AGAIN)
                continue
            if page:
                await self._send(send, self._told(page))
            elif self._position < self._cloud.events.last:  # they went meanwhile, all of them
                missed, self._position = self._position, self._cloud.events.last
                await self._send(send, self._missing(missed, None))
            else:
                await self._wait(send)
        if not self.gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, newest: int) -> tuple[bytes, int | None]:
        """Where to begin, what is said of it, and the oldest number that is kept."""
        oldest = await events.oldest(self._cloud.database)
        after = self._after
        if after is None:
            self._position = newest
        elif after == 0:
            self._position = newest if oldest is None else oldest - 1
        elif after > newest:  # of a database that is no more
            self._position = newest
            return self._missing(after, None), oldest
        elif after < newest and (oldest is None or after < oldest - 1):
            self._position = newest if oldest is None else oldest - 1
            return self._missing(after, oldest), oldest
        else:
            self._position = after
        return b"", oldest

    def _missing(self, after: int, oldest: int | None) -> bytes:
        return frame({"type": "gap", "after": after, "oldest_id": oldest}, self._position)

    def _told(self, page: list[Event]) -> bytes:
        said = []
        if page[0].event_id > self._position + 1:  # it read so slowly that they were removed
            missed, self._position = self._position, page[0].event_id - 1
            said.append(self._missing(missed, page[0].event_id))
        said += [told(one) for one in page if self._wanted.wants(one)]
        self._position = page[-1].event_id
        return b"".join(said)

    async def _wait(self, send: Send) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._cloud.settings.ping_every):
                await self._news.wait()
            return
        if not self.stalled():  # else it knows what it has to read
            ping = {"type": "ping", "server_time": time(self._cloud.now())}
            await self._send(send, frame(ping, self._position))

    async def _send(self, send: Send, chunk: bytes) -> None:
        if chunk:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


class EventAnswer(Response):
    """The stream as the answer of a route. `share`: what its reader, `key`, holds; entered already."""

    media_type = "text/event-stream"

    def __init__(self, cloud: Cloud, stream: EventStream, share: Share, key: str) -> None:
        super().__init__()
        self._cloud = cloud
        self._stream = stream
        self._share = share
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        connection = scope[CONNECTION]
        try:
            connection.watch(self._stream)
            await self._stream.run(send)
        finally:
            connection.watch(None)
            self._cloud.events.leave(self._stream)
            self._share.leave(self._key, 0)
