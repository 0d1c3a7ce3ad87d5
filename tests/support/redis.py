"""A real redis-server for tests, set up as the device's own: each write is on disk before it is answered."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

_READY_WITHIN = 10.0  # seconds; a loaded machine takes one or two


def redis_server_binary() -> str:
    """$REDIS_SERVER, else the one on PATH, else the one beside this Python."""
    named = os.environ.get("REDIS_SERVER")
    beside = Path(sys.executable).parent / "redis-server"
    found = named or shutil.which("redis-server") or (str(beside) if beside.exists() else None)
    if found is None:
        raise RuntimeError("no redis-server: run `make setup`, or set REDIS_SERVER")
    return found


def free_port() -> int:
    """A loopback port that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One redis-server in a folder of its own; keeps port and folder when it is killed and started again.

    Use it as a context manager. `options` are redis.conf keys, e.g. {"maxmemory": "8mb"}.
    """

    def __init__(self, folder: Path, options: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = {
            "bind": "127.0.0.1",
            "appendonly": "yes",
            "appendfsync": "always",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            **(options or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:<port>/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Starts it, and by default returns once it answers."""
        for _ in range(5):  # somebody else may have taken the free port meanwhile
            self._launch()
            if not wait or self._answers():
                return
            self.kill()
            self.port = free_port()
        log = (self.folder / "redis.log").read_text()[-2000:]
        raise RuntimeError(f"redis-server did not start:\n{log}")

    def _launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [redis_server_binary(), "--port", str(self.port), "--dir", str(self.folder)]
        for key, value in self._options.items():
            command += [f"--{key}", value]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def _answers(self) -> bool:
        assert self._process is not None
        end = time.monotonic() + _READY_WITHIN
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                        return self._process.poll() is None
            except OSError:
                pass
            time.sleep(0.01)
        return False

    def kill(self) -> None:
        """SIGKILL, as a power cut would; the files stay."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM and its end; the files stay."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            if number is not signal.SIGKILL:
                self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
        self._process.wait(timeout=10)
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
