"""The parts of a camera, put together: the service and the one-picture command use the same."""

from dataclasses import dataclass

from visant_camera.control_values import SavedValues
from visant_camera.drivers.fake.faults import Faults
from visant_camera.drivers.registry import choose
from visant_camera.grabber import Grabber
from visant_camera.health import Condition
from visant_camera.http.controls import reapply
from visant_camera.http.snapshot import Snapshots
from visant_camera.latest_frame import Waiting
from visant_camera.settings import CameraSettings
from visant_runtime.heartbeat import Heartbeat


@dataclass(frozen=True)
class Camera:
    """Everything but the web server. `faults` concern the fake camera only."""

    grabber: Grabber
    waiting: Waiting
    condition: Condition
    snapshots: Snapshots
    faults: Faults


def assemble(settings: CameraSettings, saved: SavedValues, heartbeat: Heartbeat | None = None) -> Camera:
    """Not started yet."""
    condition = Condition(settings.shown_source, heartbeat)
    waiting = Waiting(quality=settings.camera_jpeg_quality, idle_after=settings.camera_idle_after)
    faults = Faults()
    grabber = Grabber(
        choose(settings, faults),
        waiting,
        condition,
        warmup=settings.camera_warmup,
        stall_after=settings.camera_stall_after,
        margin=settings.camera_freshness_margin,
        heartbeat=heartbeat,
        on_open=reapply(saved),
    )
    return Camera(grabber, waiting, condition, Snapshots(waiting, condition), faults)
