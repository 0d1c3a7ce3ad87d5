"""Starts a camera service without importing it anew: a process that has imported it forks.

Under software emulation the imports of a service take ten to thirty seconds, the rest of its start one: without this
most of a run is imports, and on a busy host the cases time out over them.

`python -m tests.camera_rig.warm_start` reads one JSON object a line and answers each with one line:
`{"log": path, "environment": {...}}`: the process id of a new service; `{"poll": pid}`: its exit status, or null.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from tests.camera_rig.rig import TREE, wait_for


class WarmService:
    """The part of subprocess.Popen that the rig uses."""

    def __init__(self, source: WarmStart, pid: int) -> None:
        self._source = source
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._source.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        end = time.monotonic() + timeout
        wait_for(f"end of process {self.pid}", lambda: self.poll() is not None, end - time.monotonic())
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmStart:
    """`WarmStart().start(environment, log)`; `close` ends it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.camera_rig.warm_start"]
        self._process = subprocess.Popen(command, cwd=TREE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def start(self, environment: dict[str, str], log: str) -> WarmService:
        pid = self.ask({"log": log, "environment": environment})
        assert pid is not None
        return WarmService(self, pid)

    def ask(self, order: dict[str, Any]) -> int | None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    import simplejpeg  # noqa: F401  what `run` would import at each start, as below

    import visant_camera.http.aiming
    import visant_camera.http.app
    import visant_camera.http.controls
    import visant_camera.http.server  # noqa: F401  what `run` would import at each start
    from visant_camera.wiring import run

    for line in sys.stdin:
        order = json.loads(line)
        if "poll" in order:
            ended, status = os.waitpid(order["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        elif answer := os.fork():
            pass
        else:
            os.environ.clear()
            os.environ.update(order["environment"])
            log = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.closerange(3, 1024)
            sys.exit(run())
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
