"""CAMERA_SOURCE -> the driver that reads it. Each driver is imported only where it is used."""

from visant_camera.drivers.base import Driver
from visant_camera.drivers.fake.faults import Faults
from visant_camera.settings import CameraSettings


def choose(settings: CameraSettings, faults: Faults) -> Driver:
    """A driver, not yet open. `faults` concern the fake camera only."""
    source = settings.camera_source
    match settings.kind:
        case "fake":
            from visant_camera.drivers.fake.driver import FakeDriver

            return FakeDriver(settings.size, settings.camera_fps, faults)
        case "image":
            from visant_camera.drivers.still import StillDriver

            return StillDriver(source)
        case "v4l2":
            from visant_camera.drivers.v4l2.driver import V4l2Driver

            return V4l2Driver(source, size=settings.size, fps=settings.camera_fps)
        case "stream" | "video":
            from visant_camera.drivers.opencv.driver import OpenCvDriver

            return OpenCvDriver(source, shown=settings.shown_source, quality=settings.camera_jpeg_quality)
