"""A device node that cannot be opened is an absent camera, with the remedy in the line."""

import errno
import os
from typing import Any

import pytest

from visant_camera.drivers.base import CameraAbsent
from visant_camera.drivers.v4l2.driver import V4l2Driver
from visant_camera.drivers.v4l2.find_device import Device, Finder

NODE = "/dev/video7"


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
def test_a_node_that_cannot_be_opened_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    opened = os.open

    def refuse(path: str, *rest: Any, **more: Any) -> int:
        if path == NODE:
            raise OSError(number, os.strerror(number))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    driver = V4l2Driver("0", finder=Finder("0", list_devices=lambda: [Device(NODE, "Webcam", "usb1")]))
    with pytest.raises(CameraAbsent) as error:
        driver.open()
    assert error.value.detail.startswith(f"Webcam ({NODE}): ")
    assert remedy in error.value.detail
