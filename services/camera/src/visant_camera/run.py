"""Wires the service: settings, driver, grabber, web server."""

import asyncio

import structlog

from visant_camera.app import fault_routes, make_app
from visant_camera.condition import Condition
from visant_camera.drivers.choose import choose
from visant_camera.drivers.faults import Faults
from visant_camera.grabber import Grabber
from visant_camera.server import bind, serve
from visant_camera.settings import CameraSettings
from visant_camera.snapshot import Snapshots
from visant_camera.waiting import Waiting
from visant_runtime import lifecycle, logs
from visant_runtime.heartbeat import Heartbeat, default_path
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError, fail, load

log = structlog.get_logger()
_CHECK_EVERY = 1.0  # seconds


def run() -> int:
    """`visant-camera run`: serves until SIGTERM or SIGINT."""
    settings = load(CameraSettings)
    logs.configure(format=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    try:
        listening = bind(settings.http_host, settings.http_port)
    except SettingsError as error:
        fail(str(error))
    heartbeat = Heartbeat(default_path("camera"))
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
    )
    routes = fault_routes(faults) if settings.kind == "fake" else []
    app = make_app(Snapshots(waiting, condition), condition, *routes)

    async def work(stop: Stop) -> None:
        grabber.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(serve(app, listening, stop))
                group.create_task(_watch(grabber, heartbeat, stop))
        finally:
            await asyncio.to_thread(grabber.stop)

    log.info("camera service starts", source=settings.shown_source)
    return lifecycle.run(work)


async def _watch(grabber: Grabber, heartbeat: Heartbeat, stop: Stop) -> None:
    """The watchdog of the grabber's thread, and the event loop's own beat."""
    heartbeat.expect("web", 30.0)
    while not await stop.sleep(_CHECK_EVERY):
        grabber.check()
        heartbeat.beat("web")
