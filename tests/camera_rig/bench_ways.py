"""The ways of taking a picture that the bench compares. Each is a process of its own, so that its cost can be told.

`python -m tests.camera_rig.bench_ways loop|naive NODE` reads `ask` lines and answers each with the length of a JPEG
as one line, then the JPEG.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from tests.camera_rig.rig import TREE, wait_for
from tests.camera_rig.service import Service
from tests.camera_rig.warm_start import WarmService


class Way:
    """One way: its process and how to ask it. `ask` returns a JPEG, or raises."""

    def __init__(self, name: str, process: subprocess.Popen[bytes] | WarmService, ask: Callable[[], bytes]) -> None:
        self.name = name
        self.process = process
        self.ask = ask


def by_http(port: int, path: str) -> Callable[[], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask() -> bytes:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {body[:200]!r}")
        return body

    return ask


def by_pipe(process: subprocess.Popen[bytes]) -> Callable[[], bytes]:
    assert process.stdin
    assert process.stdout
    to, back = process.stdin, process.stdout

    def ask() -> bytes:
        to.write(b"ask\n")
        to.flush()
        return back.read(int(back.readline()))

    return ask


def ours(service: Service, name: str, path: str) -> Way:
    assert service.process
    return Way(name, service.process, by_http(service.port, path))


def process_of(kind: str, node: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.camera_rig.bench_ways", kind, node]
    return subprocess.Popen(command, cwd=TREE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def ustreamer(node: str, port: int) -> subprocess.Popen[bytes]:
    """Debian's ustreamer handing the camera's JPEGs through, as we do."""
    command = ["ustreamer", "--device", node, "--resolution", "1280x720", "--format", "MJPEG", "--encoder", "HW"]
    command += ["--desired-fps", "30", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return len(by_http(port, "/snapshot")()) > 50_000  # before the first frame it sends a small placeholder
        except OSError:
            return False

    wait_for("answer of ustreamer", answers, 30)
    return process


def serve(take: Callable[[], bytes], out: BinaryIO) -> None:
    for _ in sys.stdin:
        jpeg = take()
        out.write(b"%d\n" % len(jpeg) + jpeg)
        out.flush()


def bare_loop(node: str) -> Callable[[], bytes]:
    """A thread drains and keeps the newest frame; who asks waits for one exposed after that, by our rule. No HTTP."""
    from visant_camera.drivers.v4l2.driver import V4l2Driver

    driver = V4l2Driver(node, size=(1280, 720))
    margin = driver.open().timestamp_late
    changed = threading.Condition()
    newest = driver.next_frame(5.0, want=True)

    def drain() -> None:
        nonlocal newest
        while True:
            frame = driver.next_frame(5.0, want=True)
            with changed:
                newest = frame
                changed.notify()

    def take() -> bytes:
        asked = time.monotonic()
        with changed:
            changed.wait_for(lambda: newest and newest.begun_after >= asked + margin, 10)
            assert newest
            return newest.data if isinstance(newest.data, bytes) else newest.data()

    threading.Thread(target=drain, daemon=True).start()
    return take


def naive(node: str) -> Callable[[], bytes]:
    """OpenCV held open; every time 30 frames are read and thrown away, one is read, decoded and encoded again."""
    import cv2

    camera = cv2.VideoCapture(node, cv2.CAP_V4L2)
    camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    camera.set(cv2.CAP_PROP_FRAME_WIDTH, 1280)
    camera.set(cv2.CAP_PROP_FRAME_HEIGHT, 720)
    camera.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # the stamp of the frame would not survive; see below

    def take() -> bytes:
        for _ in range(30):
            camera.grab()
        _, raw = camera.read()
        jpeg: bytes = raw.tobytes()
        # What the naive way does with each picture; the camera's bytes are returned only because they carry the stamp.
        picture = cv2.imdecode(raw, cv2.IMREAD_COLOR)
        assert picture is not None
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        return jpeg

    return take


if __name__ == "__main__":
    serve({"loop": bare_loop, "naive": naive}[sys.argv[1]](sys.argv[2]), sys.stdout.buffer)
