"""What the cases of the rig share."""

from collections.abc import Iterator

import pytest

from tests.camera_rig.rig import Webcam, load_modules
from tests.camera_rig.service import Service
from tests.camera_rig.warm_start import WarmStart
from visant_camera.drivers.v4l2.driver import V4l2Driver


@pytest.fixture(scope="session", autouse=True)
def _modules() -> None:
    load_modules()


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    Service.warm = WarmStart()
    yield
    Service.warm.close()


@pytest.fixture
def webcam() -> Iterator[Webcam]:
    """A camera that is not plugged in yet; it is pulled when the case ends."""
    with Webcam() as camera:
        yield camera


@pytest.fixture
def driver() -> Iterator[V4l2Driver]:
    """A driver that wants CAMERA_SOURCE=0 at 1280x720, not opened yet; it is closed when the case ends."""
    one = V4l2Driver("0", size=(1280, 720))
    yield one
    one.close()
