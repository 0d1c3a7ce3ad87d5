"""The service as the Pi's image carries it: without the folder of the fake camera."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import visant_camera

PACKAGE = Path(visant_camera.__file__).parent


@pytest.fixture
def start_without_fake(start: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """`start`, from a copy of the package that lacks `drivers/fake/`."""
    copy = tmp_path / "app"
    shutil.copytree(PACKAGE, copy / PACKAGE.name, ignore=shutil.ignore_patterns("fake", "__pycache__"))
    assert not (copy / PACKAGE.name / "drivers/fake").exists()
    return lambda **settings: start(PYTHONPATH=str(copy), **settings)


def test_the_service_works_and_says_where_the_fake_camera_is(
    start_without_fake: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "shelf.jpg"
    Image.new("RGB", (64, 48), "red").save(path)
    service = start_without_fake(CAMERA_SOURCE=str(path))
    service.until("ok")
    assert service.http.get("/snapshot").content == path.read_bytes()
    assert service.http.get("/fake/faults").status_code == 404
    for command in ("run", "config"):
        found = service.command(command, CAMERA_SOURCE="fake")
        assert found.returncode == 78
        assert found.stdout == ""
        assert found.stderr == (
            "[ERROR] CAMERA_SOURCE='fake' is not valid (this image has no fake camera, the one that "
            "compose.emulation.yaml builds has it): set 0 or /dev/video0 or a /dev/v4l/by-path/ name (webcam), "
            "rtsp://..., the path of a .jpg file, or the path of a .mp4 file\n"
        )


def test_with_the_folder_it_is_there(start: Callable[..., Any]) -> None:
    service = start(CAMERA_SOURCE="fake")
    assert service.http.get("/fake/faults").json()["fault"] == "none"
