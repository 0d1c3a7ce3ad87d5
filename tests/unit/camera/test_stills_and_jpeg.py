"""Image files as a camera, and what becomes a JPEG."""

import io
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support.pictures import pixel
from visant_camera.drivers.base import BadFrame, CameraAbsent, CameraGone
from visant_camera.drivers.still import StillDriver
from visant_camera.frame import Frame
from visant_camera.jpeg import encode, is_whole, size


def picture(colour: str, kind: str = "JPEG", wanted: tuple[int, int] = (32, 16)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", wanted, colour).save(file, kind)
    return file.getvalue()


def test_a_jpeg_file_is_handed_through_untouched(tmp_path: Path) -> None:
    path = tmp_path / "shelf.jpg"
    path.write_bytes(picture("red"))
    driver = StillDriver(str(path))
    opened = driver.open()
    frame = driver.next_frame(1, want=True)
    assert encode(frame, 90) == path.read_bytes()
    assert (opened.width, opened.height) == (frame.width, frame.height) == (32, 16)


def test_each_picture_is_the_file_as_it_is_then(tmp_path: Path) -> None:
    path = tmp_path / "shelf.jpg"
    path.write_bytes(picture("red"))
    driver = StillDriver(str(path))
    driver.open()
    path.write_bytes(picture("blue"))
    asked = time.monotonic()
    frame = driver.next_frame(1, want=True)
    assert encode(frame, 90) == picture("blue")
    assert frame.exposed_at >= asked


def test_other_formats_are_encoded(tmp_path: Path) -> None:
    path = tmp_path / "shelf.png"
    path.write_bytes(picture("lime", "PNG"))
    driver = StillDriver(str(path))
    driver.open()
    image = Image.open(io.BytesIO(encode(driver.next_frame(1, want=True), 90)))
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


def test_a_file_taken_away_or_half_written_is_not_served(tmp_path: Path) -> None:
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


def test_wholeness() -> None:
    jpeg = picture("red")
    assert is_whole(jpeg)
    assert is_whole(jpeg + bytes(512)), "some webcams pad with zeros"
    assert not is_whole(jpeg[:-1])
    assert not is_whole(jpeg[1:])
    assert not is_whole(b"")


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0\x11", b"\xff\xd8\xff\xff\xff", b"\xff\xd8\xff\xd9"]
)
def test_the_size_of_what_has_none_is_none(data: bytes) -> None:
    assert size(data) is None


def test_the_size_is_found_behind_other_segments() -> None:
    assert size(picture("red", wanted=(640, 480))) == (640, 480)


def test_yuyv_becomes_a_jpeg_of_the_same_colour() -> None:
    red = bytes((82, 90, 82, 240))  # Y U Y V of pure red, BT.601
    frame = Frame(red * (16 * 8 // 2), "yuyv", 16, 8, 1, 0.0)
    image = Image.open(io.BytesIO(encode(frame, 90)))
    assert image.size == (16, 8)
    found = pixel(image, 8, 4)
    assert found[0] > 235
    assert max(found[1:]) < 25


def test_bytes_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="no 16x8 yuyv frame"):
        encode(Frame(b"1234", "yuyv", 16, 8, 1, 0.0), 90)
