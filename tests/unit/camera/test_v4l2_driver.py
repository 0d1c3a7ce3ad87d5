"""Format and size are chosen from what the camera offers; a node that cannot be opened is an absent camera."""

import errno
import os
from typing import Any

import pytest

from visant_camera.drivers.base import CameraAbsent, CameraGone
from visant_camera.drivers.v4l2.driver import V4l2Driver, choose_mode
from visant_camera.drivers.v4l2.find_device import Finder, VideoDevice

NODE = "/dev/video7"
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


def test_a_node_that_vanished_between_finding_and_opening_is_absent_in_one_line() -> None:
    gone = VideoDevice("/dev/video99", "Webcam", "usb1")
    driver = V4l2Driver("0", finder=Finder("0", list_devices=lambda: [gone]))
    with pytest.raises(CameraAbsent, match=r"^Webcam \(/dev/video99\): the kernel knows it"):
        driver.open()
    driver.close()
    with pytest.raises(CameraGone):
        driver.next_frame(0.1, want=True)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "put the user into the group that owns it"),
        (errno.EPERM, "the container lacks the device rule c 81:* rmw"),
        (errno.ENOENT, "a container needs /dev bound read-only"),
        (errno.EBUSY, "another process streams from it"),
        (errno.ENXIO, "No such device or address"),
    ],
)
def test_a_node_that_cannot_be_opened_says_what_to_do(monkeypatch: pytest.MonkeyPatch, number: Any, remedy: Any) -> Any:
    opened = os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> Any:
        if path == NODE:
            raise OSError(number, os.strerror(number))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    driver = V4l2Driver("0", finder=Finder("0", list_devices=lambda: [VideoDevice(NODE, "Webcam", "usb1")]))
    with pytest.raises(CameraAbsent) as error:
        driver.open()
    assert error.value.detail.startswith(f"Webcam ({NODE}): ")
    assert remedy in error.value.detail
