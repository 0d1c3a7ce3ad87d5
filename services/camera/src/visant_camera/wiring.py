"""`visant-camera run`: the camera, the web server and the watchdog, until the process is told to end."""

import asyncio

import structlog

from visant_camera.assembly import assemble
from visant_camera.control_values import SavedValues
from visant_camera.grabber import Grabber
from visant_camera.http.aiming import aiming_routes
from visant_camera.http.aiming.stream import Viewers
from visant_camera.http.app import fault_routes, make_app
from visant_camera.http.controls import Controls
from visant_camera.http.server import bind, serve
from visant_camera.settings import CameraSettings
from visant_runtime import lifecycle, logs
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError, fail, load

log = structlog.get_logger()
_CHECK_EVERY = 1.0  # seconds


def run() -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status."""
    settings = load(CameraSettings)
    logs.configure(format=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    try:
        listening = bind(settings.http_host, settings.http_port)
    except SettingsError as error:
        fail(str(error))
    heartbeat = start_heartbeat("camera")
    heartbeat.expect("web", 30.0)
    saved = SavedValues(settings.camera_state_dir)
    camera = assemble(settings, saved, heartbeat)

    async def work(stop: Stop) -> None:
        routes = [*Controls(camera.grabber, saved).routes(), *aiming_routes(Viewers(camera.waiting, stop))]
        if settings.kind == "fake":
            routes += fault_routes(camera.faults)
        app = make_app(camera.snapshots, camera.condition, routes)
        camera.grabber.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(serve(app, listening, stop))
                group.create_task(_watch(camera.grabber, heartbeat, stop))
                await stop.wait()
                camera.waiting.end()
        finally:
            await asyncio.to_thread(camera.grabber.stop)

    log.info("camera service starts", source=settings.shown_source)
    return lifecycle.run(work)


async def _watch(grabber: Grabber, heartbeat: Heartbeat, stop: Stop) -> None:
    """The watchdog of the grabber's thread, and the event loop's own beat."""
    while not await stop.sleep(_CHECK_EVERY):
        grabber.check()
        heartbeat.beat("web")
