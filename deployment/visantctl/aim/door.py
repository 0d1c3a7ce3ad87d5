"""The page's door: listens on one address, for few visitors at a time, until it is closed."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer

from visantctl.aim.gate import Gate
from visantctl.aim.visit import Visit
from visantctl.errors import Problem

_CONNECTIONS = 32


class Door(ThreadingHTTPServer):
    """Listens on one address until it is closed."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, address: str, port: int, camera_port: int, gate: Gate, say: Callable[[str], None]) -> None:
        """Problem where the address cannot be had; `say` gets one line an event."""
        self.camera_port = camera_port
        self.gate = gate
        self.say = say
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        try:
            super().__init__((address, port), Visit)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Problem(
                f"{address}:{port} cannot be opened ({reason}): does another visantctl aim run? Else: --port N"
            ) from None
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def server_bind(self) -> None:
        """Without HTTPServer's look into the DNS."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """One thread a connection, at most _CONNECTIONS."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """The thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that broke is no event."""

    def close(self) -> None:
        """Nothing listens afterwards."""
        self.shutdown()
        self.server_close()
