"""A proxy before a real Redis that cuts one connection at a command: before Redis has it, or before it answers."""

import contextlib
import socket
import threading
import time
from typing import Literal
from urllib.parse import urlsplit

Moment = Literal["not sent", "not answered"]


class RedisCutter:
    """Cuts the `passes`-th command that holds `word`, once; everything else goes through unchanged."""

    def __init__(self, redis_url: str, word: bytes, moment: Moment, passes: int = 1) -> None:
        parts = urlsplit(redis_url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._word = b"\r\n%s\r\n" % word
        self._moment = moment
        self._left = passes
        self._guard = threading.Lock()
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            threading.Thread(target=self._commands, args=(client, server), daemon=True).start()

    def _commands(self, client: socket.socket, server: socket.socket) -> None:
        threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError), client, server:
            while data := client.recv(1 << 16):
                due = self._is_due(data)
                if due and self._moment == "not answered":
                    client.shutdown(socket.SHUT_WR)  # the answer reaches nobody
                    server.sendall(data)
                    time.sleep(0.1)  # Redis drops what it has not read yet of a client that is gone
                if due:
                    return
                server.sendall(data)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def _is_due(self, data: bytes) -> bool:
        if self._word not in data:
            return False
        with self._guard:
            self._left -= 1
            due = self._left == 0
            self.cuts += due
        return due
