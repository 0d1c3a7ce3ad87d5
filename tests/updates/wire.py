"""Networks that fail on command: a TCP relay before the registry, and a web server for releases."""

from __future__ import annotations

import contextlib
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Relay:
    """127.0.0.1:port -> target. `cut_after` bytes of answers every connection dies and none is accepted any more."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._budget: int | None = None
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, answer_bytes: int) -> None:
        with self._lock:
            self._budget = answer_bytes

    def hold(self) -> None:
        """No answer goes through any more; every connection stays open and hangs."""
        self._flows.clear()

    def mend(self) -> None:
        with self._lock:
            self._budget = None
        self._flows.set()

    @property
    def is_cut(self) -> bool:
        with self._lock:
            return self._budget is not None and self._budget <= 0

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except ConnectionError:
                continue
            except OSError:  # closed
                return
            try:
                if self.is_cut:
                    raise ConnectionRefusedError
                server = socket.create_connection(self._target, timeout=30)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                self._flows.wait()
                if counted and not self._spend(len(data)):
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _spend(self, size: int) -> bool:
        with self._lock:
            if self._budget is None:
                return True
            self._budget -= size
            return self._budget > 0


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


class Website:
    """A folder over HTTP; `down()` refuses connections until `up()`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        handler = partial(_Quiet, directory=str(self._folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
