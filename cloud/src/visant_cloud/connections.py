"""One connection of a client: uvicorn's protocol, and what a stream must know of the peer behind it."""

import socket
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from visant_cloud.commands.event_stream import CONNECTION
from visant_cloud.commands.hub import Subscription


class Connection(HttpToolsProtocol):
    """Tells the stream that it carries when the peer has gone: uvicorn swallows what is sent to nobody."""

    _watched: Subscription | None = None

    def watch(self, stream: Subscription | None, *, user_timeout: float | None = None) -> None:
        """`stream` is told when this connection is lost, at once where it is lost already. None: nobody any more.

        `user_timeout`: seconds for which what was sent may stay unacknowledged; None: as the listener says.
        """
        self._watched = stream
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

    def on_message_begin(self) -> None:
        """uvicorn's, of a request that begins."""
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[CONNECTION] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        super().connection_lost(exc)
        if self._watched is not None:
            self._watched.lost()
