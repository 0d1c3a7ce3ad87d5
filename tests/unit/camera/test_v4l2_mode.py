import numpy as np
import pytest

from visant_camera.drivers.base import CameraAbsent, CameraGone
from visant_camera.drivers.v4l2.driver import V4l2Driver, choose_mode
from visant_camera.drivers.v4l2.find_device import Finder, VideoDevice
from visant_camera.jpeg import to_bgr

WEBCAM = {
    "YUYV": [(640, 480), (1280, 720), (1920, 1080)],
    "MJPG": [(640, 480), (1280, 720), (1920, 1080), (2592, 1944)],
}


def test_the_cameras_own_jpeg_is_preferred_to_pixels() -> None:
    assert choose_mode(WEBCAM, (1920, 1080)) == ("MJPG", (1920, 1080))


@pytest.mark.parametrize(
    ("wanted", "got"),
    [((1500, 850), (1280, 720)), ((1800, 1000), (1920, 1080)), ((4000, 3000), (2592, 1944)), ((10, 10), (640, 480))],
)
def test_a_size_it_has_not_becomes_the_nearest(wanted: tuple[int, int], got: tuple[int, int]) -> None:
    assert choose_mode(WEBCAM, wanted) == ("MJPG", got)


def test_of_two_equally_near_the_larger_is_taken() -> None:
    assert choose_mode({"MJPG": [(600, 400), (800, 600)]}, (700, 500)) == ("MJPG", (800, 600))


def test_a_format_that_lists_no_sizes_is_asked_for_the_wanted_one() -> None:
    assert choose_mode({"YUYV": []}, (800, 600)) == ("YUYV", (800, 600))


def test_a_camera_that_offers_nothing_usable_is_named_with_what_it_offers() -> None:
    with pytest.raises(CameraAbsent, match="H264, pRAA"):
        choose_mode({"pRAA": [(640, 480)], "H264": [(640, 480)]}, (640, 480))


def test_grey_and_colour_pixels_become_bgr() -> None:
    assert to_bgr("GREY", bytes([7, 9]), 2, 1) == bytes([7, 7, 7, 9, 9, 9])
    # 4:2:2 with U first: two white pixels, then two black ones
    assert to_bgr("UYVY", bytes([128, 235, 128, 235, 128, 16, 128, 16]), 4, 1) == bytes([255] * 6 + [0] * 6)
    nv12 = np.concatenate([np.full(4, 235, np.uint8), np.full(2, 128, np.uint8)])
    assert to_bgr("NV12", nv12.tobytes(), 2, 2) == bytes([255] * 12)


def test_pixels_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        to_bgr("GREY", bytes(5), 2, 2)


def test_a_node_that_vanished_between_finding_and_opening_is_absent_in_one_line() -> None:
    gone = VideoDevice("/dev/video99", "Webcam", "usb1")
    driver = V4l2Driver("0", finder=Finder("0", list_devices=lambda: [gone]))
    with pytest.raises(CameraAbsent, match=r"^Webcam \(/dev/video99\): the kernel knows it"):
        driver.open()
    driver.close()
    with pytest.raises(CameraGone):
        driver.next_frame(0.1, want=True)
