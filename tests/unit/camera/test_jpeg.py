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


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


SIZE = b"\x08" + (480).to_bytes(2, "big") + (1280).to_bytes(2, "big")
"""The first bytes of a SOF segment: bits a sample, height, width."""


@pytest.mark.parametrize("marker", range(0xC0, 0xD0))
def test_each_way_of_coding_has_the_size_and_the_tables_among_them_have_none(marker: Any) -> None:
    found = size(b"\xff\xd8" + segment(marker, SIZE))
    assert found == (None if marker in (0xC4, 0xC8, 0xCC) else (1280, 480))


@pytest.mark.parametrize("marker", [0xBF, 0xDB, 0xE0, 0xFE])
def test_other_segments_are_no_size_however_they_look(marker: Any) -> None:
    assert size(b"\xff\xd8" + segment(marker, SIZE)) is None
    assert size(b"\xff\xd8" + segment(marker, SIZE * 60) + segment(0xC0, SIZE)) == (1280, 480)


@pytest.mark.parametrize("fill", [0, 1, 2, 5])
def test_the_size_is_found_behind_segments_of_any_length_and_fill_bytes(fill: Any) -> None:
    for length in (0, 1, 253, 254, 255, 256, 65533):
        data = b"\xff\xd8" + segment(0xE0, bytes(length)) + b"\xff" * fill + segment(0xC2, SIZE)
        assert size(data) == (1280, 480)
        assert size(data[:-1]) is None, "the width is cut"


def test_behind_what_is_no_segment_nothing_is_looked_for() -> None:
    assert size(b"\xff\xd8" + bytes(20) + segment(0xC0, SIZE)) is None
    assert size(b"\xff\xd8" + segment(0xE0, b"") + b"\0" + segment(0xC0, SIZE)) is None


@pytest.mark.parametrize("data", [b"\xff\xd9", b"\xff\xd8", b"abc\xff\xd9", b"\xff\xd8abc"])
def test_half_of_a_jpeg_is_not_whole(data: Any) -> None:
    assert not is_whole(data)


def test_a_jpeg_is_handed_through_and_one_that_is_made_on_demand_too() -> None:
    assert encode(Frame(b"as it is", "mjpeg", 16, 8, 1, 0.0), 90) == b"as it is"
    assert encode(Frame(lambda: b"made", "mjpeg", 16, 8, 1, 0.0), 90) == b"made"


def test_bgr_becomes_a_jpeg_of_the_same_colour_and_size() -> None:
    blue = bytes((255, 0, 0)) * (16 * 8)
    image = Image.open(io.BytesIO(encode(Frame(lambda: blue, "bgr", 16, 8, 1, 0.0), 90)))
    assert (image.format, image.size) == ("JPEG", (16, 8))
    found = image.getpixel((8, 4))
    assert isinstance(found, tuple)
    assert found[2] > 235
    assert max(found[:2]) < 25


def test_quality_is_the_jpegs() -> None:
    noise = np.random.default_rng(1).integers(0, 256, 64 * 64 * 3, np.uint8).tobytes()
    sizes = [len(encode(Frame(noise, "bgr", 64, 64, 1, 0.0), quality)) for quality in (10, 50, 90)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(("encoding", "bytes_a_pixel"), [("yuyv", 2), ("bgr", 3)])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_byte_too_few_or_too_many_is_refused(encoding: Any, bytes_a_pixel: Any, more: Any) -> None:
    with pytest.raises(ValueError, match=f"no 16x8 {encoding} frame"):
        encode(Frame(bytes(16 * 8 * bytes_a_pixel + more), encoding, 16, 8, 1, 0.0), 90)


@pytest.mark.parametrize(("format", "length"), [("GREY", 32), ("UYVY", 64), ("NV12", 48)])
def test_each_format_has_its_length(format: Any, length: Any) -> None:
    assert len(to_bgr(format, bytes(length), 8, 4)) == 8 * 4 * 3
    for wrong in (length - 8, length + 8, length * 2):
        with pytest.raises(ValueError, match="reshape"):
            to_bgr(format, bytes(wrong), 8, 4)
