"""The camera service as a process of its own, and an RTSP camera for it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

HERE = Path(__file__).parent
PROGRAM = str(Path(sys.executable).with_name("visant-camera"))


def wait_until(true: Callable[[], bool], timeout: float = 120.0) -> None:
    """Generous: on a busy machine an interpreter takes long to start. What must be quick is measured by itself."""
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.01)


class Service:
    """`visant-camera run` with the settings given, on a free port."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.log_file = folder / "log"
        # LD_: cv2 sets a path when a test imports it, and who is started with one is not forked (1 s of CPU)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CAMERA_", "HTTP_", "LOG_", "LD_"))}
        self.env = {
            **clean,
            "HTTP_PORT": "0",
            "HEARTBEAT_FILE": str(folder / "heartbeat"),
            "CAMERA_STATE_DIR": str(folder / "state"),
            **settings,
        }
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen([PROGRAM, "run"], env=self.env, stdout=log, stderr=subprocess.STDOUT)
        wait_until(lambda: "listening url=" in self.log or self.process.poll() is not None)
        found = re.search(r"listening url=(\S+)", self.log)
        assert found, self.log
        self.url = found[1]
        self.env["HTTP_PORT"] = self.url.rpartition(":")[2]
        self.http = httpx.Client(base_url=self.url, timeout=40, trust_env=False)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/state").json()
        return found

    def until(self, state: str, timeout: float = 120.0) -> None:
        wait_until(lambda: self.state()["state"] == state, timeout)

    def command(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """`visant-camera <arguments>` in the same surroundings."""
        return subprocess.run(
            [PROGRAM, *arguments], env={**self.env, **settings}, capture_output=True, text=True, timeout=60, check=False
        )

    def children(self) -> list[int]:
        """Process ids of the capture process."""
        path = Path(f"/proc/{self.process.pid}/task")
        found = [int(pid) for task in path.iterdir() for pid in (task / "children").read_text().split()]
        return sorted(set(found))

    def connections(self) -> set[str]:
        """The far ends, as /proc/net/tcp writes them, of what the service has accepted (who waits has no inode)."""
        port = f":{int(self.env['HTTP_PORT']):04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return {line[2] for line in lines if line[1].endswith(port) and line[3] == "01" and line[9] != "0"}

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


Start = Callable[..., Service]
"""The fixture `start`."""
Until = Callable[..., None]
"""The fixture `until`."""


@pytest.fixture
def until() -> Until:
    return wait_until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(CAMERA_SOURCE="fake")`; stopped at the end."""
    running: list[Service] = []

    def begin(folder: Path | None = None, **settings: str) -> Service:
        place = folder or tmp_path / f"camera{len(running)}"
        place.mkdir(exist_ok=True)
        running.append(Service(place, settings))
        return running[-1]

    yield begin
    for service in running:
        service.stop()


class RtspCamera:
    """rtsp_source.py, killed and started again at will on one port."""

    def __init__(self, user: str, more: tuple[str, ...]) -> None:
        self._user = user
        self._more = more
        self._port = "0"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["/usr/bin/python3", str(HERE / "rtsp_source.py"), "--port", self._port, "--user", self._user, *self._more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("rtsp://"), "the RTSP source did not start"
        self._port = self.url.split(":")[2].split("/")[0]

    @property
    def port(self) -> int:
        return int(self._port)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def pause(self) -> None:
        """It keeps its connections and sends nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


StartRtsp = Callable[..., RtspCamera]
"""The fixture `rtsp`."""


@pytest.fixture(scope="session")
def rtsp_installed() -> None:
    """Skips with the reason where the machine has no RTSP server; fails where CI should have installed it."""
    found = subprocess.run(
        ["/usr/bin/python3", str(HERE / "rtsp_source.py"), "--check"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.skip(found.stderr.strip())


@pytest.fixture
def rtsp(rtsp_installed: None) -> Iterator[StartRtsp]:
    """`rtsp(user="name:password")`; `more` goes to rtsp_source.py."""
    running: list[RtspCamera] = []

    def begin(user: str = "", more: tuple[str, ...] = ()) -> RtspCamera:
        running.append(RtspCamera(user, more))
        return running[-1]

    yield begin
    for one in running:
        one.kill()
