"""A video file, played by a process that can be killed."""

import io
import os
import signal
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.integration.camera.conftest import Start, Until


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """One second, dark to bright, 30 fps."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(30):
            image = np.full((240, 320, 3), number * 8, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path


def test_a_video_is_played_again_and_again(start: Start, clip: Path) -> None:
    service = start(CAMERA_SOURCE=str(clip))
    service.until("ok")
    seen: set[tuple[int, int]] = set()
    end = time.monotonic() + 30
    while time.monotonic() < end and len({turn for turn, _ in seen}) < 3:
        answer = service.http.get("/snapshot")
        assert answer.status_code == 200
        seen.add((int(answer.headers["x-sequence"]) // 30, _brightness(answer.content)))
    assert len({turn for turn, _ in seen}) >= 2, "it has not begun again"
    assert len({shade // 16 for _, shade in seen}) >= 5, "it does not move"
    assert service.state()["width"] == 320


def _brightness(jpeg: bytes) -> int:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    return image.convert("L").tobytes()[100 * image.width + 100]


def test_a_capture_process_that_hangs_is_noticed_killed_and_replaced(start: Start, clip: Path, until: Until) -> None:
    service = start(CAMERA_SOURCE=str(clip))
    service.until("ok")
    (child,) = service.children()
    os.kill(child, signal.SIGSTOP)  # as a read that never returns
    service.until("camera_stalled")
    service.until("ok")
    assert not Path(f"/proc/{child}").exists()
    assert service.http.get("/snapshot").status_code == 200


def test_a_capture_process_that_crashes_is_replaced(start: Start, clip: Path) -> None:
    service = start(CAMERA_SOURCE=str(clip))
    service.until("ok")
    (child,) = service.children()
    os.kill(child, signal.SIGSEGV)
    assert service.http.get("/snapshot?timeout_ms=30000").status_code == 200
    assert service.children() != [child]


def test_a_killed_service_leaves_no_capture_process(start: Start, clip: Path, until: Until) -> None:
    service = start(CAMERA_SOURCE=str(clip))
    service.until("ok")
    (child,) = service.children()
    service.process.kill()
    service.process.wait()
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2])


def test_a_stopped_service_leaves_no_capture_process(start: Start, clip: Path) -> None:
    service = start(CAMERA_SOURCE=str(clip))
    service.until("ok")
    (child,) = service.children()
    assert service.stop() == 0
    assert not Path(f"/proc/{child}").exists()


def test_a_file_that_is_no_video_is_an_absent_camera(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("not a video")
    service = start(CAMERA_SOURCE=str(path))
    service.until("camera_absent")
    assert "no video that can be read" in service.state()["detail"]
