"""The connections of one process: how many it may hold, and which are ended because their peer does nothing.

uvicorn bounds only connections that have had an answer. A peer that connects and says nothing, sends half a request,
or never reads what it is sent, would hold a descriptor for ever, and a process without descriptors can do nothing.
"""

import itertools
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import structlog
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from visant_cloud import problems
from visant_cloud.commands.event_stream import CONNECTION

log = structlog.get_logger()

EVERYWHERE = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin")]
"""Headers of every answer, whatever it is."""
RESERVE = 128
"""Descriptors that are kept for everything else: the database's pools, pictures on their way, templates, Redis."""
SPARE = 32
"""Connections beyond the limit that are held just long enough to be told so."""
HEADERS_WITHIN = 10.0
"""Seconds from the first byte, or from the connection, to the end of a request's headers."""
BODY_SILENCE = 60.0
"""Seconds without a byte of a request's body; how long the whole takes is nobody's business."""
HEAD_BYTES = 32 << 10
"""Bytes of a request's line and headers. nginx takes as many (large_client_header_buffers, 4 of 8 KiB)."""
HEADERS = 100
PIPELINED = 8
"""Requests that wait behind one on a connection. No client of today sends one before the answer to the last."""
UNREAD_BYTES = 2 << 20
UNREAD_WITHIN = 10.0
"""What still comes of a body after the answer is thrown away, so many bytes and seconds: who is closed in the middle of
sending may never see the answer (RFC 9112, 9.6)."""
STALLED = 30.0
"""Seconds in which a peer has taken nothing of what waits for it. What it missed is sent again when it comes back."""
_YOUNG = 1.0
"""Seconds in which a new connection may bring its request before it is given up for another."""


class Watched(Protocol):
    """A stream that a connection carries."""

    stalled: Callable[[], bool]
    """Whether the peer reads too slowly to be sent more now."""

    def lost(self) -> None:
        """The connection is gone."""


class Connections:
    """One per process. Its dictionaries are in the order of time, so a look at them ends with the first young one."""

    def __init__(self, limit: int) -> None:
        self.limit = max(1, limit)
        self.idle: dict[Connection, float] = {}
        """Answered, and nothing came since."""
        self.headers: dict[Connection, float] = {}
        """A request is awaited, or half of it is here."""
        self.bodies: dict[Connection, float] = {}
        """A body is awaited; since its last byte."""
        self.unread: dict[Connection, float] = {}
        """Answered before its body had come, which still comes; since the answer."""
        self.stalled: dict[Connection, tuple[float, int]] = {}
        """More waits for the peer than may; since when, and the bytes that waited then."""
        self._full = False

    def make_room(self, count: int) -> bool:
        """With one connection too many: ends one that does nothing. False where there is none."""
        if not self._full:
            self._full = True
            log.warning("as many connections as there may be", connections=count, limit=self.limit)
        for one, _ in itertools.islice(self.idle.items(), 1):
            one.end()
            return True
        for one, since in itertools.islice(self.headers.items(), 1):
            if time.monotonic() - since > _YOUNG:
                one.end()
                return True
        return False

    def sweep(self) -> None:
        """Once a second: ends those whose peer does nothing."""
        self._full = False
        now = time.monotonic()
        for one, since in list(self.headers.items()):
            if now - since <= HEADERS_WITHIN:
                break
            one.give_up("the request's headers did not come")
        for one, since in list(self.bodies.items()):
            if now - since <= BODY_SILENCE:
                break
            if one.flow.read_paused:  # it waits for us
                one.touch(self.bodies)
            else:
                one.give_up("the request's body did not come")
        for one, since in list(self.unread.items()):
            if now - since <= UNREAD_WITHIN:
                break
            one.end()
        for one, (since, waiting) in list(self.stalled.items()):
            if now - since <= STALLED:
                break
            left = one.transport.get_write_buffer_size()
            del self.stalled[one]
            if left < waiting:
                self.stalled[one] = now, left
            else:
                log.info("a connection ended: its peer does not read", waiting_bytes=left)
                one.transport.abort()

    def forget(self, one: "Connection") -> None:
        """It is over."""
        for each in (self.idle, self.headers, self.bodies, self.unread, self.stalled):
            each.pop(one, None)


class Connection(HttpToolsProtocol):
    """uvicorn's, and what it leaves out.

    A stream that it carries is told when the peer has gone: uvicorn swallows what is sent to nobody.
    """

    def __init__(self, all_: Connections, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._all = all_
        self.watched: Watched | None = None
        """The stream that it carries."""
        self._begun = False
        """Headers are on their way."""
        self._answering: RequestResponseCycle | None = None
        self._head = self._pieces = 0
        """Bytes of the headers that are whole, and of what came while none was."""
        self._requests = 0
        self._unread = 0
        """Bytes that came of a body after its answer."""

    def watch(self, stream: Watched | None, *, user_timeout: float | None = None) -> None:
        """`stream` is told when this connection is lost, at once where it is lost already. None: nobody any more.

        `user_timeout`: seconds for which what was sent may stay unacknowledged; None: as the listener says.
        """
        self.watched = stream
        if stream is None:
            return
        stream.stalled = self._stalled
        if self.transport.is_closing() or self.cycle.disconnected:
            stream.lost()
        elif user_timeout is not None:
            ours = self.transport.get_extra_info("socket")
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout * 1000))

    def _stalled(self) -> bool:
        return bool(self.flow.write_paused)

    def touch(self, waiting: dict["Connection", float]) -> None:
        """It stands at the end of `waiting` again, as of now."""
        waiting.pop(self, None)
        waiting[self] = time.monotonic()

    def end(self) -> None:
        """Closes it, where no request is under way."""
        self._all.forget(self)
        self.transport.close()

    def give_up(self, why: str) -> None:
        """Closes it in the middle of a request, with 408 where a part of one is here and nothing was answered."""
        self._all.forget(self)
        begun = self.scope is not None and (self.cycle is None or not self.cycle.response_started)
        if begun and not self.transport.is_closing():
            self.transport.write(_raw(408, f"{why[0].upper()}{why[1:]} in time", "too_slow"))
        self.transport.close()

    def connection_made(self, transport: Any) -> None:
        """asyncio's."""
        super().connection_made(transport)
        self._all.headers[self] = time.monotonic()
        count = len(self.connections)
        if count > self._all.limit and not self._all.make_room(count):
            self.app = _turned_away
            if count > self._all.limit + SPARE:
                transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        self._all.idle.pop(self, None)
        if self in self._all.unread:
            self._unread += len(data)
            if self._unread > UNREAD_BYTES:
                self.end()
                return
        elif self.cycle is None or self.cycle.response_complete:
            self._all.headers.setdefault(self, time.monotonic())
        elif self in self._all.bodies:
            self.touch(self._all.bodies)
        before = self._requests if self._begun else None
        super().data_received(data)
        if self._begun and self._requests == before:  # nothing but headers
            self._pieces += len(data)
            if self._pieces > HEAD_BYTES and not self.transport.is_closing():
                self._all.forget(self)
                if not self._give_up_answer():
                    self.transport.write(_raw(431, *_LARGE_HEAD))
                self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's, of what is no HTTP: a problem, unless it would be read as the answer to what came before."""
        if self.transport.is_closing():
            return
        if not self._give_up_answer():
            self.transport.write(_raw(400, "The request is not HTTP as it should be", "no_http"))
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """uvicorn's."""
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _give_up_answer(self) -> bool:
        """Whether an answer is under way; nobody hears it any more, and who writes to a closed connection fails.

        uvicorn tells that to the newest request alone, which may be one that waits behind.
        """
        self.pipeline.clear()
        if self._answering is None or self._answering.response_complete:
            return False
        self._answering.disconnected = True
        self._answering.message_event.set()
        return True

    def _unsupported_upgrade_warning(self) -> None:
        """uvicorn's, of an offer to speak something else: it may be passed over (RFC 9110, 7.8), and needs no line."""

    def on_message_begin(self) -> None:
        """uvicorn's, of a request that begins."""
        super().on_message_begin()
        self._begun = True
        self._head = self._pieces = 0
        self._requests += 1
        cast(dict[str, Any], self.scope)[CONNECTION] = self

    def on_header(self, name: bytes, value: bytes) -> None:
        """uvicorn's."""
        self._head += len(name) + len(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """uvicorn's."""
        self._begun = False
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests without waiting for an answer")  # ends in send_400_response
        self._all.headers.pop(self, None)
        self.touch(self._all.bodies)
        if self._head + len(self.url) > HEAD_BYTES or len(self.headers) > HEADERS:
            self.app = _large_head
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """uvicorn's."""
        self._all.bodies.pop(self, None)
        if self._all.unread.pop(self, None) is not None:
            self.touch(self._all.idle)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """uvicorn's."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._all.bodies.pop(self, None)
            self._unread = 0
            self.touch(self._all.unread)
        else:
            self.touch(self._all.headers if self._begun else self._all.idle)

    def pause_writing(self) -> None:
        """asyncio's: more waits to be sent than may."""
        super().pause_writing()
        self._all.stalled[self] = time.monotonic(), self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """asyncio's."""
        self._all.stalled.pop(self, None)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        self._all.forget(self)
        self._give_up_answer()
        super().connection_lost(exc)
        if self.watched is not None:
            self.watched.lost()


async def _turned_away(scope: Scope, receive: Receive, send: Send) -> None:
    await problems.busy("The cloud holds as many connections as it may")(scope, receive, send)


_LARGE_HEAD = f"The request's headers have more than {HEAD_BYTES} bytes, or are more than {HEADERS}", "too_large"


async def _large_head(scope: Scope, receive: Receive, send: Send) -> None:
    await problems.problem(431, *_LARGE_HEAD, {"Connection": "close"})(scope, receive, send)


def _raw(status: int, detail: str, reason: str) -> bytes:
    """A whole answer, for where no application can give it."""
    answer = problems.problem(status, detail, reason, {"Connection": "close", **dict(EVERYWHERE)})
    head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
    return b"HTTP/1.1 %d \r\n%b\r\n%b" % (status, head, bytes(answer.body))
