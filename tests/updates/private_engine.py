"""A Docker Engine of a test's own, in namespaces of its own, that the test may kill.

Never beside another one in the same network namespace: two Engines there take each other's bridges away.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.updates.host import wait_for

# Process 1 of the namespace buries what dockerd leaves: a dead containerd must not look alive to the next one.
_INIT = """
import os, time
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.2)
"""


class PrivateEngine:
    """`host` is what DOCKER_HOST is set to; `enter` leads a command into its network.

    The path of its folder must be short: sockets below it may have 108 characters.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.host = f"unix://{folder}/docker.sock"
        # The first process of a PID namespace: when it ends, everything in there ends.
        self._holder = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(sys.executable, "-c", _INIT),
            ]
        )
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        wait_for(lambda: children.read_text().strip() != "", 10, "the namespaces")
        inside = children.read_text().split()[0]
        self.enter = ["nsenter", "--target", inside, "--net"]
        self._whole = [*self.enter, "--mount", "--pid"]
        wait_for(lambda: b"os.wait" in Path(f"/proc/{inside}/cmdline").read_bytes(), 10, "the namespaces")
        subprocess.run([*self.enter, "ip", "link", "set", "lo", "up"], check=True)
        self._daemon: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except AssertionError:
            print((folder / "dockerd.log").read_text()[-3000:])
            self.close()
            raise

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        for stale in ("docker.pid", "docker.sock"):
            (self._folder / stale).unlink(missing_ok=True)
        with (self._folder / "dockerd.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    *self._whole, "dockerd", "--host", self.host, "--data-root", str(self._folder / "data"),
                    "--exec-root", str(self._folder / "exec"), "--pidfile", str(self._folder / "docker.pid"),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self.answers, 60, "the private Engine")

    def answers(self) -> bool:
        env = {**os.environ, "DOCKER_HOST": self.host}
        return subprocess.run(["docker", "version"], env=env, capture_output=True, check=False).returncode == 0

    def kill(self) -> None:
        """kill -9 of dockerd; what it started goes on without it."""
        assert self._daemon is not None
        # nsenter --pid forks: dockerd is its child.
        children = Path(f"/proc/{self._daemon.pid}/task/{self._daemon.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        self._daemon.wait(20)

    def close(self) -> None:
        """End everything in the namespaces."""
        self._holder.kill()
        self._holder.wait()
        if self._daemon is not None:
            self._daemon.wait(20)
