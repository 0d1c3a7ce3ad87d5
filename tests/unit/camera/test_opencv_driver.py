"""A network camera whose address cannot be right is an absent camera, in one line."""

from typing import Any

import pytest

from visant_camera.drivers import opencv, registry
from visant_camera.drivers.base import CameraAbsent
from visant_camera.drivers.opencv.driver import OpenCvDriver
from visant_runtime.redact import shown


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://192.168.1..50/stream",
        "rtsp://eve:s3cret@192.168.1..50:8554/stream",
        f"rtsp://{'a' * 64}.local/stream",
        "rtsp://./stream",
    ],
)
def test_a_host_that_cannot_exist_is_an_absent_camera(source: Any) -> None:
    assert registry.find(source) is opencv.DRIVER
    driver = OpenCvDriver(source, shown=shown(source), quality=90)
    with pytest.raises(CameraAbsent) as error:
        driver.open()
    assert error.value.detail == f"{shown(source)}: no host can have this name or address"
    assert "s3cret" not in error.value.detail
