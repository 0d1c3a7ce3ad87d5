"""What a case needs inside the rig's machine: kernel modules, cameras to plug in and pull, device nodes to wait for."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

TREE = Path(__file__).resolve().parents[2]
RESULTS = Path("/run/results")
"""The folder that the machine shares with the host: pictures come in here, reports go out."""
PICTURES = RESULTS / "pictures"
HUB = Path("/sys/devices/platform/vhci_hcd.0")
HIGH_SPEED = 3


def load_modules() -> None:
    """Loads uvcvideo and the USB/IP hub of the machine's own kernel."""
    for name in ("uvcvideo", "vhci-hcd"):
        subprocess.run(["modprobe", "-d", os.environ["RIG_KERNEL"], name], check=True)


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 20) -> T:
    """Looks again and again until it sees something; TimeoutError with `what` when it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = look()
        if seen is not None and seen is not False:
            return seen
        time.sleep(0.01)
    raise TimeoutError(f"no {what} within {seconds} s")


def nodes(product: str) -> list[str]:
    """Device nodes of the cameras of that name that are there now, pictures first, then metadata."""
    found = []
    for entry in Path("/sys/class/video4linux").glob("video*"):
        try:
            name, index = (entry / "name").read_text(), int((entry / "index").read_text())
        except OSError:
            continue  # pulled while we looked
        if product in name and os.path.exists(f"/dev/{entry.name}"):
            found.append((index, f"/dev/{entry.name}"))
    return [path for _, path in sorted(found)]


class Webcam:
    """An emulated camera. `plug()` and `unplug()` as often as wanted; a context manager that unplugs."""

    def __init__(self, product: str = "Rig Camera", serial: str = "RIG0001", port: int = 0, *options: str) -> None:
        self.product = product
        self._serial = serial
        self._port = port
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._steering: socket.socket | None = None

    def __enter__(self) -> Webcam:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        try:
            self.unplug()
        except OSError as error:  # the kernel has given it up already, as it does on a starved host
            if error.errno != errno.EINVAL:
                raise
            self._ended()

    def plug(self) -> str:
        """Plugs the camera in and returns its node, e.g. /dev/video0."""
        self.plug_without_waiting()
        return wait_for(f"node of {self.product}", lambda: next(iter(nodes(self.product)), None))

    def plug_without_waiting(self) -> None:
        link, far_link = socket.socketpair()
        self._steering, far_steering = socket.socketpair()
        command = [sys.executable, "-E", "-S", "-m", "tests.camera_rig.uvc_camera"]
        command += ["--link-fd", str(far_link.fileno()), "--steering-fd", str(far_steering.fileno())]
        command += ["--pictures", str(PICTURES), "--product", self.product, "--serial", self._serial, *self._options]
        with far_link, far_steering:
            self._process = subprocess.Popen(command, cwd=TREE, pass_fds=(far_link.fileno(), far_steering.fileno()))
        self.state()  # it answers, so it runs
        with link:
            (HUB / "attach").write_text(f"{self._port} {link.fileno()} {0x10001 + self._port} {HIGH_SPEED}")

    def unplug(self) -> None:
        assert self._process and self._steering
        (HUB / "detach").write_text(str(self._port))
        self._ended()

    def _ended(self) -> None:
        assert self._process and self._steering
        wait_for("end of the node", lambda: not nodes(self.product))
        self._process.wait(timeout=10)
        self._steering.close()
        self._process = None

    def fault(self, name: str, *, frames: int = 1, seconds: float = 0.0) -> None:
        """Spoils frames from now on; names in uvc_camera.py."""
        self._order({"fault": name, "frames": frames, "seconds": seconds})

    def state(self) -> dict[str, Any]:
        return self._order({})

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._steering
        self._steering.sendall(json.dumps(order).encode() + b"\n")
        answer = bytearray()
        while not answer.endswith(b"\n"):
            part = self._steering.recv(4096)
            if not part:
                raise RuntimeError(
                    f"{self.product} has gone: its process ended with {self._process and self._process.poll()}"
                )
            answer += part
        state: dict[str, Any] = json.loads(answer)
        return state
