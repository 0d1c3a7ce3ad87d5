"""A camera without hardware, for emulation and tests: CAMERA_SOURCE=fake. Nothing outside this folder needs it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from visant_camera.drivers.base import Driver
from visant_camera.drivers.registry import Declaration, Wishes

if TYPE_CHECKING:
    from starlette.routing import Route


def _make(wishes: Wishes) -> Driver:
    from visant_camera.drivers.fake.driver import FakeDriver
    from visant_camera.drivers.fake.faults import Faults

    return FakeDriver(wishes.size, wishes.fps, Faults())


def _routes(driver: Driver) -> "Sequence[Route]":
    from visant_camera.drivers.fake.driver import FakeDriver
    from visant_camera.drivers.fake.routes import fault_routes

    assert isinstance(driver, FakeDriver)
    return fault_routes(driver.faults)


DRIVER = Declaration(("fake",), lambda source: source == "fake", _make, default_size=(1280, 720), routes=_routes)
