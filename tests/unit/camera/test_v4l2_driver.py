"""Format and size are chosen from what the camera offers; a node that cannot be opened is an absent camera."""

import errno
import os
from typing import Any

import pytest

from visant_camera.drivers.base import CameraAbsent, CameraGone, CameraStalled
from visant_camera.drivers.v4l2 import abi
from visant_camera.drivers.v4l2.driver import V4l2Driver, choose_mode
from visant_camera.drivers.v4l2.find_device import Finder, VideoDevice
from visant_camera.drivers.v4l2.node import Node, SizeRange

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


def refused_at_open(monkeypatch: pytest.MonkeyPatch, number: int) -> V4l2Driver:
    """A driver whose camera is listed, and whose node cannot be opened for this reason (errno)."""
    opened = os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> Any:
        if path == NODE:
            raise OSError(number, os.strerror(number))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    return V4l2Driver("0", finder=Finder("0", list_devices=lambda: [VideoDevice(NODE, "Webcam", "usb1")]))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "put the user into the group that owns it"),
        (errno.EPERM, "the container lacks the device rule c 81:* rmw"),
        (errno.ENOENT, "a container needs /dev bound read-only"),
        (errno.EBUSY, "another process streams from it"),
        (errno.ENXIO, "it was unplugged just now"),
    ],
)
def test_a_node_that_cannot_be_opened_says_what_to_do(monkeypatch: pytest.MonkeyPatch, number: Any, remedy: Any) -> Any:
    driver = refused_at_open(monkeypatch, number)
    with pytest.raises(CameraAbsent) as error:
        driver.open()
    assert error.value.detail.startswith(f"Webcam ({NODE}): ")
    assert remedy in error.value.detail


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT, errno.EPROTO, errno.EPIPE])
def test_a_plugged_camera_that_does_not_answer_is_stalled_and_not_absent(
    monkeypatch: pytest.MonkeyPatch, number: Any
) -> None:
    driver = refused_at_open(monkeypatch, number)
    with pytest.raises(CameraStalled, match=r"^Webcam \(/dev/video7\): it is plugged in and does not answer: "):
        driver.open()


RANGE = SizeRange(range(16, 1921, 2), range(16, 1081, 2))


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ((1920, 1080), (1920, 1080)),
        ((1280, 720), (1280, 720)),
        ((4000, 3000), (1920, 1080)),
        ((8, 8), (16, 16)),
        ((641, 480), (640, 480)),
    ],
)
def test_of_a_range_of_sizes_the_nearest_is_asked_for(wanted: Any, got: Any) -> None:
    assert choose_mode({"MJPG": RANGE}, wanted) == ("MJPG", got)


class Enumerating(Node):
    """A node whose driver answers as a test says; `answers` maps an ioctl to the structures it fills, by index."""

    def __init__(self, answers: dict[int, list[dict[str, Any]]]) -> None:
        self._answers = answers

    def call(self, request: int, structure: Any) -> Any:
        found = self._answers[request]
        if structure.index >= len(found):
            raise OSError(errno.EINVAL, "no more")
        for name, value in found[structure.index].items():
            setattr(structure, name, type(getattr(structure, name))(*value) if name == "numbers" else value)
        return structure


@pytest.mark.parametrize(("kind", "step"), [(2, 1), (3, 8)])
def test_continuous_and_stepwise_sizes_are_a_range(kind: int, step: int) -> None:
    node = Enumerating({abi.ENUM_FRAMESIZES: [{"type": kind, "numbers": (16, 1920, step, 16, 1080, step)}]})
    assert node.sizes("MJPG") == SizeRange(range(16, 1921, step), range(16, 1081, step))


def test_listed_sizes_are_a_list() -> None:
    sizes = [{"type": 1, "numbers": (*size, 0, 0, 0, 0)} for size in ((640, 480), (320, 240))]
    assert Enumerating({abi.ENUM_FRAMESIZES: sizes}).sizes("MJPG") == [(640, 480), (320, 240)]


def test_a_range_of_intervals_is_the_highest_and_the_lowest_rate() -> None:
    node = Enumerating({abi.ENUM_FRAMEINTERVALS: [{"type": 3, "numbers": (1, 60, 1, 5, 1, 60)}]})
    assert node.rates("MJPG", (640, 480)) == [60.0, 5.0]
    listed = [{"type": 1, "numbers": (1, rate, 0, 0, 0, 0)} for rate in (30, 15)]
    assert Enumerating({abi.ENUM_FRAMEINTERVALS: listed}).rates("MJPG", (640, 480)) == [30.0, 15.0]
