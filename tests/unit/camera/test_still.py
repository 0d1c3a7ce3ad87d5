"""Image files as a camera."""

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.not_none import not_none
from tests.support.pictures import pixel
from visant_camera.drivers.base import BadFrame, CameraAbsent, CameraGone
from visant_camera.drivers.still import StillDriver
from visant_camera.jpeg import encode


def test_a_jpeg_file_is_handed_through_untouched(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "shelf.jpg"
    path.write_bytes(picture("red"))
    driver = StillDriver(str(path))
    opened = driver.open()
    frame = not_none(driver.next_frame(1, want=True))
    assert encode(frame, 90) == path.read_bytes()
    assert (opened.width, opened.height) == (frame.width, frame.height) == (32, 16)


def test_each_picture_is_the_file_as_it_is_then(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "shelf.jpg"
    path.write_bytes(picture("red"))
    driver = StillDriver(str(path))
    driver.open()
    path.write_bytes(picture("blue"))
    asked = time.monotonic()
    frame = not_none(driver.next_frame(1, want=True))
    assert encode(frame, 90) == picture("blue")
    assert frame.exposed_at >= asked


def test_a_file_that_is_left_alone_is_read_once_and_any_change_is_seen(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "shelf.jpg"
    red, blue = picture("red"), picture("blue")
    assert len(red) == len(blue), "of one size, so that the size tells nothing"
    path.write_bytes(red)
    os.utime(path, (time.time() - 60,) * 2)
    driver = StillDriver(str(path))
    driver.open()
    first, second = (driver.next_frame(1, want=True) for _ in range(2))
    assert first is not None and second is not None
    assert second.data is first.data
    assert (second.sequence, second.exposed_at > first.exposed_at) == (first.sequence + 1, True)
    path.write_bytes(blue)
    third = driver.next_frame(1, want=True)
    path.write_bytes(red)
    fourth = driver.next_frame(1, want=True)
    assert third is not None and fourth is not None
    assert (third.data, fourth.data) == (blue, red)


def test_other_formats_are_encoded(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "shelf.png"
    path.write_bytes(picture("lime", "PNG"))
    driver = StillDriver(str(path))
    driver.open()
    image = Image.open(io.BytesIO(encode(not_none(driver.next_frame(1, want=True)), 90)))
    assert image.size == (32, 16)
    assert pixel(image, 5, 5)[1] > 240


def test_a_missing_file_is_an_absent_camera(tmp_path: Path) -> None:
    with pytest.raises(CameraAbsent, match="No such file"):
        StillDriver(str(tmp_path / "none.jpg")).open()


def test_a_file_that_is_no_image_is_an_absent_camera(tmp_path: Path) -> None:
    path = tmp_path / "shelf.jpg"
    path.write_text("not a picture")
    with pytest.raises(CameraAbsent, match="no whole JPEG"):
        StillDriver(str(path)).open()


def test_a_file_taken_away_or_half_written_is_not_served(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "shelf.jpg"
    path.write_bytes(picture("red"))
    driver = StillDriver(str(path))
    driver.open()
    path.write_bytes(picture("red")[:-10])
    with pytest.raises(BadFrame):
        driver.next_frame(1, want=True)
    path.unlink()
    with pytest.raises(CameraGone):
        driver.next_frame(1, want=False)
