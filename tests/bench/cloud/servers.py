"""What is measured: the cloud as its processes, and the floor as its one; both are killed and started again alike."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from emulation.ports import hold_port, release_port
from tests.bench.cloud.answers import Answer
from tests.support.cloud_process import Process

_STARTS_WITHIN = 60.0


class Server(Protocol):
    """A process that devices connect to."""

    url: str

    @property
    def pid(self) -> int:
        """Of the running process."""

    def start(self) -> None:
        """Starts it, again where it was killed, and returns once it answers."""

    def kill(self) -> None:
        """SIGKILL."""

    def end(self) -> None:
        """Ends it for good."""


class Cloud:
    """`visant-cloud run` with its folder and port over every start. `settings` are its environment."""

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._port = hold_port()
        self.process = Process(folder, PORT=str(self._port), AUTH="required", **settings)
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self.process.popen.pid

    def start(self) -> None:
        """Returns once it is ready."""
        self.process.start()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.end()

    def end(self) -> None:
        """SIGKILL as well: what it leaves goes with the bench's folder."""
        self.process.end()
        release_port(self._port)


class Floor:
    """The bare application (floors.py). `store` as its main() has it."""

    def __init__(self, folder: Path, store: str, devices: int, ping_every: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._port = hold_port()
        self._words = [str(self._port), store, str(folder), str(devices), str(ping_every)]
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._popen.pid

    def start(self) -> None:
        """Returns once it answers."""
        with (self._folder / "log").open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.cloud.floors", *self._words], stdout=log, stderr=log
            )
        _answers(self._port, self._popen, self._folder / "log")

    def kill(self) -> None:
        """SIGKILL."""
        self._popen.kill()
        self._popen.wait(30)

    def end(self) -> None:
        """The same."""
        self.kill()
        release_port(self._port)


def _answers(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: floor\r\n\r\n")
                answer = Answer()
                answer.feed(connection.recv(1000))
                if answer.status:
                    return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the bare application did not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)
