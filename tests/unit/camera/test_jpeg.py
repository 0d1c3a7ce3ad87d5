"""What is a whole JPEG, and what becomes one."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visant_camera.frame import Frame
from visant_camera.jpeg import encode, is_whole, size, to_bgr


def test_wholeness(picture: Any) -> None:
    jpeg = picture("red")
    assert is_whole(jpeg)
    assert is_whole(jpeg + bytes(512)), "some webcams pad with zeros"
    assert not is_whole(jpeg[:-1])
    assert not is_whole(jpeg[1:])
    assert not is_whole(b"")


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0\x11", b"\xff\xd8\xff\xff\xff", b"\xff\xd8\xff\xd9"]
)
def test_the_size_of_what_has_none_is_none(data: Any) -> None:
    assert size(data) is None


def test_the_size_is_found_behind_other_segments(picture: Any) -> None:
    assert size(picture("red", wanted=(640, 480))) == (640, 480)


def test_yuyv_becomes_a_jpeg_of_the_same_colour() -> None:
    red = bytes((82, 90, 82, 240))  # Y U Y V of pure red, BT.601
    frame = Frame(red * (16 * 8 // 2), "yuyv", 16, 8, 1, 0.0)
    image = Image.open(io.BytesIO(encode(frame, 90)))
    assert image.size == (16, 8)
    found = image.getpixel((8, 4))
    assert isinstance(found, tuple)
    assert found[0] > 235
    assert max(found[1:]) < 25


def test_bytes_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="no 16x8 yuyv frame"):
        encode(Frame(b"1234", "yuyv", 16, 8, 1, 0.0), 90)


def test_grey_and_colour_pixels_become_bgr() -> None:
    assert to_bgr("GREY", bytes([7, 9]), 2, 1) == bytes([7, 7, 7, 9, 9, 9])
    # 4:2:2 with U first: two white pixels, then two black ones
    assert to_bgr("UYVY", bytes([128, 235, 128, 235, 128, 16, 128, 16]), 4, 1) == bytes([255] * 6 + [0] * 6)
    nv12 = np.concatenate([np.full(4, 235, np.uint8), np.full(2, 128, np.uint8)])
    assert to_bgr("NV12", nv12.tobytes(), 2, 2) == bytes([255] * 12)


def test_pixels_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        to_bgr("GREY", bytes(5), 2, 2)
