"""A camera service of our own inside the machine, and the few requests that the cases make of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from tests.camera_rig.rig import wait_for
from tests.camera_rig.warm_start import WarmService, WarmStart


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]
    asked_at: float
    """CLOCK_MONOTONIC seconds, before the first byte of the request was sent."""
    answered_at: float

    def problem(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class Service:
    """`with Service(CAMERA_RESOLUTION="640x480") as service: service.snapshot()`; settings as environment variables.

    `cold`: started by its command, as on a device. Else by `Service.warm` where that is set.
    """

    warm: ClassVar[WarmStart | None] = None

    def __init__(self, *, cold: bool = False, **settings: str) -> None:
        self._settings = settings
        self._cold = cold
        self.process: subprocess.Popen[bytes] | WarmService | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "log"
        self._log.touch()
        self._last_at = 0.0
        self.address = ""

    def __enter__(self) -> Service:
        try:
            self.start()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._connection:
            self._connection.close()
        if kind:
            print(self._log.read_text())
        self._folder.cleanup()

    @property
    def port(self) -> int:
        return urlsplit(f"//{self.address}").port or 0

    def start(self) -> None:
        """Starts the process and waits until it listens; a second start uses the same port, folder and settings."""
        before = self._log.stat().st_size
        if self.warm and not self._cold:
            self.process = self.warm.start(self.environment, str(self._log))
        else:
            with self._log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "visant_camera", "run"], env=self.environment, stdout=log
                )
        # Long, for the imports of a cold start on a busy host; what must be quick is measured by itself.
        self.address = wait_for("listening service", lambda: self._said_address(before), 150)
        if self._connection:
            self._connection.close()
        self._connection = http.client.HTTPConnection(self.address, timeout=40)

    def _said_address(self, after: int) -> str | None:
        for line in self._log.read_bytes()[after:].splitlines(keepends=True):
            if line.endswith(b"\n") and b'"listening"' in line:
                return urlsplit(str(json.loads(line)["url"])).netloc
        if self.process and self.process.poll() is not None:
            raise RuntimeError(f"the camera service ended with {self.process.returncode}: {self._log.read_text()}")
        return None

    def stop(self) -> float:
        """SIGTERM; returns the seconds until the process has ended."""
        assert self.process
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=15) == 0
        return time.monotonic() - began

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command of the service, with its settings, e.g. `probe --json`. It must succeed."""
        command = [sys.executable, "-m", "visant_camera", *words]
        return subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True, check=True, timeout=90)

    @property
    def environment(self) -> dict[str, str]:
        folder = Path(self._folder.name)
        mine = {
            "CAMERA_SOURCE": "0",
            "CAMERA_RESOLUTION": "1280x720",
            "HTTP_PORT": self.port,
            "LOG_FORMAT": "json",
            "CAMERA_STATE_DIR": folder / "state",
            "XDG_RUNTIME_DIR": folder,
            "XDG_STATE_HOME": folder,
        }
        return {**os.environ, **{name: str(value) for name, value in mine.items()}, **self._settings}

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """One request, on a kept connection unless the last one is long ago: a server may have closed it."""
        assert self._connection
        if time.monotonic() - self._last_at > 2:
            self._connection.close()
        content = json.dumps(body) if body is not None else None
        asked_at = time.monotonic()
        self._connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
        response = self._connection.getresponse()
        data = response.read()
        self._last_at = time.monotonic()
        return Answer(response.status, data, dict(response.headers), asked_at, self._last_at)

    def snapshot(self, query: str = "") -> Answer:
        return self.request("GET", f"/snapshot{query and '?'}{query}")

    def snapshot_aside(self, query: str) -> Answer:
        return self.request_aside(f"/snapshot{query and '?'}{query}")

    def request_aside(self, path: str) -> Answer:
        """One request on a connection of its own, from any thread."""
        connection = http.client.HTTPConnection(self.address, timeout=40)
        asked_at = time.monotonic()
        connection.request("GET", path)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return Answer(response.status, data, dict(response.headers), asked_at, time.monotonic())

    def state(self) -> dict[str, Any]:
        return self.request("GET", "/state").problem()

    def wait_until(self, state: str, seconds: float = 30) -> float:
        """Waits for `ok` or a reason; returns the moment on CLOCK_MONOTONIC."""
        wait_for(f"state {state}", lambda: self.state()["state"] == state, seconds)
        return time.monotonic()

    def resident(self) -> float:
        """Resident memory now, in MB of 10^6 bytes."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6
