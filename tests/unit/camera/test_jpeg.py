"""What is a sound JPEG, and what becomes one."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.camera.conftest import DAMAGED
from visant_camera.frame import Frame
from visant_camera.jpeg import HABIT, SURPLUS, Leftovers, check, encode, one_colour, to_bgr
from visant_contract.jpeg import read


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


def drawn(**options: Any) -> bytes:
    """640x480 with noise like a sensor's."""
    noise = np.random.default_rng(1).normal(127, 20, (480, 640, 3)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", **options)
    return file.getvalue()


WHOLE = drawn(quality=85)
MIDDLE = len(WHOLE) // 2


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_sound_picture_passes(options: Any) -> None:
    check(drawn(**options), 640, 480, Leftovers())


@pytest.mark.parametrize(
    "damaged",
    [
        WHOLE[:MIDDLE] + WHOLE[MIDDLE + 5000 :],
        WHOLE[:MIDDLE] + bytes(5000) + WHOLE[MIDDLE + 5000 :],
        WHOLE[:MIDDLE] + b"\xff\xd9",
        WHOLE[:MIDDLE] + WHOLE[MIDDLE - 5000 :],
        DAMAGED,
    ],
)
def test_a_picture_whose_middle_is_wrong_is_damaged_though_both_its_ends_are_there(damaged: bytes) -> None:
    assert read(damaged).end == len(damaged)
    with pytest.raises(ValueError, match="the JPEG is damaged: "):
        check(damaged, 640, 480, Leftovers())


@pytest.mark.parametrize(("surplus", "passes"), [(0, True), (1, True), (SURPLUS + 1, True), (SURPLUS + 2, False)])
def test_a_few_bytes_that_a_webcams_encoder_leaves_over_are_no_damage(surplus: int, passes: bool) -> None:
    """libjpeg counts the ones behind the first."""
    padded = WHOLE[:-2] + b"\x55" * surplus + WHOLE[-2:]
    if passes:
        check(padded, 640, 480, Leftovers())
    else:
        with pytest.raises(ValueError, match=f"{surplus - 1} extraneous bytes"):
            check(padded, 640, 480, Leftovers())


def test_a_camera_that_leaves_more_behind_every_picture_is_served_after_a_while() -> None:
    leftovers = Leftovers()
    padded = WHOLE[:-2] + b"\x55" * 100 + WHOLE[-2:]
    for _ in range(HABIT - 1):
        with pytest.raises(ValueError, match="99 extraneous bytes"):
            check(padded, 640, 480, leftovers)
    check(padded, 640, 480, leftovers)
    with pytest.raises(ValueError):
        check(DAMAGED, 640, 480, leftovers)
    with pytest.raises(ValueError):
        check(padded, 640, 480, leftovers)  # after other damage the count begins anew
    for _ in range(HABIT):
        with contextlib.suppress(ValueError):
            check(padded, 640, 480, leftovers)
    check(padded, 640, 480, leftovers)
    check(WHOLE, 640, 480, leftovers)
    with pytest.raises(ValueError):
        check(padded, 640, 480, leftovers)  # and after a picture without any


def test_a_part_that_came_twice_is_no_habit() -> None:
    leftovers = Leftovers()
    twice = WHOLE[:MIDDLE] + WHOLE[MIDDLE - 5000 :]
    for _ in range(3 * HABIT):
        with pytest.raises(ValueError):
            check(twice, 640, 480, leftovers)


def test_what_is_too_large_to_be_decoded_is_refused_before_it_is() -> None:
    with pytest.raises(ValueError, match="claims to be 8193x8192 pixels"):
        check(b"", 8193, 8192, Leftovers())


def colours(shade: int, spot: int) -> np.ndarray[Any, Any]:
    image = np.full((64, 64, 3), shade, np.uint8)
    image[8:24, 8:24] = spot
    return image


@pytest.mark.parametrize(("shade", "spot", "alone"), [(0, 0, True), (16, 20, True), (255, 255, True), (16, 60, False)])
def test_one_colour_is_told_from_a_picture_in_every_encoding(shade: int, spot: int, alone: bool) -> None:
    image = colours(shade, spot)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    assert one_colour(Frame(file.getvalue(), "mjpeg", 64, 64, 1, 0.0)) is alone
    assert one_colour(Frame(lambda: image.tobytes(), "bgr", 64, 64, 1, 0.0)) is alone
    yuyv = np.full((64, 64, 2), 128, np.uint8)
    yuyv[:, :, 0] = image[:, :, 0]
    assert one_colour(Frame(yuyv.tobytes(), "yuyv", 64, 64, 1, 0.0)) is alone


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
