"""A real RTSP server: H.264 whose frames carry their time of exposure."""

import io
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import pytest
from PIL import Image

from tests.integration.camera.conftest import Start, StartRtsp

pytestmark = pytest.mark.xdist_group("rtsp")  # two H.264 encoders beside everything else starve each other


def exposed(jpeg: bytes) -> float:
    """CLOCK_MONOTONIC seconds, read from the picture's upper edge: 40 blocks of 16x32 pixels, white is 1."""
    image = Image.open(io.BytesIO(jpeg)).convert("L")
    row = image.tobytes()[16 * image.width :]
    bits = "".join("1" if row[bit * 16 + 8] > 128 else "0" for bit in range(40))
    return int(bits, 2) / 1000


def test_pictures_are_exposed_after_their_request(start: Start, rtsp: StartRtsp) -> None:
    service = start(CAMERA_SOURCE=rtsp().url)
    service.until("ok")
    for _ in range(15):
        asked = time.monotonic()
        answer = service.http.get("/snapshot")
        assert answer.status_code == 200, answer.text
        assert exposed(answer.content) >= asked


def test_a_server_that_dies_and_returns_serves_again_without_a_restart(start: Start, rtsp: StartRtsp) -> None:
    camera = rtsp()
    service = start(CAMERA_SOURCE=camera.url)
    service.until("ok")
    camera.kill()
    service.until("camera_absent")
    answer = service.http.get("/snapshot?timeout_ms=300")
    assert (answer.status_code, answer.json()["reason"]) == (503, "camera_absent")
    camera.start()
    asked = time.monotonic()
    answer = service.http.get("/snapshot?timeout_ms=30000")
    assert answer.status_code == 200, answer.text
    assert exposed(answer.content) >= asked


def test_a_server_that_falls_silent_is_a_stall(start: Start, rtsp: StartRtsp) -> None:
    camera = rtsp()
    service = start(CAMERA_SOURCE=camera.url)
    service.until("ok")
    camera.pause()
    service.until("camera_stalled")
    assert service.http.get("/snapshot?timeout_ms=100").json()["reason"] == "camera_stalled"
    camera.resume()
    service.until("ok")


def test_credentials_are_used_and_never_shown(start: Start, rtsp: StartRtsp) -> None:
    camera = rtsp(user="eve:s3cret")
    service = start(CAMERA_SOURCE=camera.url.replace("//", "//eve:s3cret@"), LOG_LEVEL="DEBUG")
    service.until("ok")
    assert service.http.get("/snapshot").status_code == 200
    (child,) = service.children()
    assert "s3cret" not in Path(f"/proc/{child}/cmdline").read_text()
    camera.kill()
    service.until("camera_absent")
    seen = service.log + service.http.get("/state").text + service.http.get("/snapshot?timeout_ms=10").text
    assert "s3cret" not in seen + service.command("config").stdout


def test_wrong_credentials_are_an_absent_camera(start: Start, rtsp: StartRtsp) -> None:
    service = start(CAMERA_SOURCE=rtsp(user="eve:s3cret").url.replace("//", "//eve:wr0ng@"))
    service.until("camera_absent")
    assert "refuses user or password (401)" in service.state()["detail"]
    assert "wr0ng" not in service.log


def test_a_password_as_it_was_typed_is_used_and_never_shown(start: Start, rtsp: StartRtsp) -> None:
    password = "p@s/s?w[o]r#d"
    service = start(CAMERA_SOURCE=rtsp(user=f"eve:{password}").url.replace("//", f"//eve:{password}@"))
    service.until("ok")
    seen = service.log + service.http.get("/state").text + service.command("config").stdout
    assert not any(piece in seen for piece in ("p@s", "s/s", "s?w", "w[o]", "r#d"))


def test_a_stream_that_the_camera_does_not_have_is_named_so(start: Start, rtsp: StartRtsp) -> None:
    service = start(CAMERA_SOURCE=re.sub(r"/[a-z]+$", "/other", rtsp().url))
    service.until("camera_absent")
    assert "no such stream (404)" in service.state()["detail"]


def test_the_child_sees_no_setting_of_ours(start: Start, rtsp: StartRtsp) -> None:
    service = start(CAMERA_SOURCE=rtsp().url, DEVICE_TOKEN="t0ken", HTTPS_PROXY="http://u:s3cret@proxy:1")
    service.until("ok")
    (child,) = service.children()
    environment = Path(f"/proc/{child}/environ").read_text()
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" in environment
    assert not any(word in environment for word in ("t0ken", "s3cret", "CAMERA_SOURCE"))


def test_a_backlog_after_a_network_hiccup_is_never_served_as_new(start: Start, rtsp: StartRtsp) -> None:
    """The network holds everything back for a second, then delivers it at once: old frames that arrive now."""
    camera = rtsp()
    with _proxy(camera.port) as (port, gate):
        # the margin is small, so that it is the clock of the stream that finds the old ones out
        service = start(
            CAMERA_SOURCE=re.sub(r":\d+/", f":{port}/", camera.url),
            CAMERA_STALL_AFTER="5",
            CAMERA_FRESHNESS_MARGIN="0.1",
        )
        service.until("ok")
        for _ in range(3):
            gate.clear()
            time.sleep(1.2)
            asked = time.monotonic()
            timer = threading.Timer(0.02, gate.set)
            timer.start()
            answer = service.http.get("/snapshot?timeout_ms=5000")
            timer.join()
            assert answer.status_code == 200, answer.text
            assert exposed(answer.content) >= asked


@pytest.mark.parametrize("stamps", ["0.6", "0.9", "back"])
def test_stamps_that_do_not_keep_time_cost_doubt_and_no_picture(start: Start, rtsp: StartRtsp, stamps: str) -> None:
    service = start(CAMERA_SOURCE=rtsp(more=("--stamps", stamps)).url)
    service.until("ok")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        asked = time.monotonic()
        answer = service.http.get("/snapshot?timeout_ms=8000")
        assert answer.status_code == 200, answer.text
        assert exposed(answer.content) >= asked
    assert service.state()["opens"] == 1


def test_a_key_frame_now_and_then_is_waited_for(start: Start, rtsp: StartRtsp) -> None:
    """Who joins between two key frames sees nothing until the next; 12 s here, up to 40 with some cameras."""
    camera = rtsp(more=("--key-frames", "12"))
    somebody_else = cv2.VideoCapture(camera.url, cv2.CAP_FFMPEG)
    assert somebody_else.grab(), "the stream begins with a key frame"
    service = start(CAMERA_SOURCE=camera.url)
    seen = set()
    while (state := service.state()["state"]) != "ok":
        seen.add(state)
        time.sleep(0.05)
    assert seen == {"camera_starting"}
    asked = time.monotonic()
    assert exposed(service.http.get("/snapshot?timeout_ms=8000").content) >= asked
    assert service.state()["opens"] == 1
    somebody_else.release()


@contextmanager
def _proxy(target: int) -> Iterator[tuple[int, threading.Event]]:
    """(port, gate): forwards TCP to `target` while the gate is set."""
    gate = threading.Event()
    gate.set()
    listening = socket.create_server(("127.0.0.1", 0))
    open_ones = [listening]

    def forward(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                gate.wait()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", target))
                open_ones.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=forward, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1], gate
    finally:
        gate.set()
        for one in open_ones:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
