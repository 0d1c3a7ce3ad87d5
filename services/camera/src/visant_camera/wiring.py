"""Wiring: a camera put together from its parts, for the service and for one picture without it."""

import asyncio
import os
from dataclasses import dataclass

import structlog

from visant_camera.control_values import SavedValues
from visant_camera.desired_settings import DesiredSettings
from visant_camera.drivers.base import Driver, Opened
from visant_camera.grabber import Grabber, watch
from visant_camera.health import Health
from visant_camera.latest_frame import LatestFrame
from visant_camera.settings import CameraSettings
from visant_camera.snapshots import Snapshots
from visant_contract.env_keys import misspelt
from visant_runtime import lifecycle, logs
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError, fail, load
from visant_runtime.watchdog import watch_over

log = structlog.get_logger()


@dataclass(frozen=True)
class Camera:
    """Everything but the web server."""

    driver: Driver
    grabber: Grabber
    latest: LatestFrame
    health: Health
    snapshots: Snapshots


def assemble(
    settings: CameraSettings, saved: SavedValues, desired: DesiredSettings, heartbeat: Heartbeat | None = None
) -> Camera:
    """Not started yet."""
    health = Health(settings.shown_source, heartbeat)
    latest = LatestFrame(quality=settings.camera_jpeg_quality, idle_after=settings.camera_idle_after)
    driver = settings.driver.make(settings.wishes)

    def set_up(driver: Driver, opened: Opened) -> None:
        saved.restore(driver, opened)
        desired.apply(driver)

    grabber = Grabber(
        driver,
        latest,
        health,
        warmup=settings.camera_warmup,
        stall_after=settings.camera_stall_after,
        margin=settings.camera_freshness_margin,
        heartbeat=heartbeat,
        on_open=set_up,
    )
    return Camera(driver, grabber, latest, health, Snapshots(latest, health))


def run() -> int:
    """`visant-camera run`: serves until SIGTERM or SIGINT; returns the exit status."""
    # not above: one picture without the service needs no web server
    import simplejpeg  # noqa: F401  the first picture should not wait for it

    from visant_camera.http.aiming import aiming_routes
    from visant_camera.http.aiming.stream import Viewers
    from visant_camera.http.app import make_app
    from visant_camera.http.controls import Controls
    from visant_camera.http.server import bind, bind_unix, serve

    notes = misspelt(os.environ)
    settings = load(CameraSettings, notes)
    logs.configure(format=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    for note in notes:
        log.warning(note)
    try:
        listening = [bind(settings.http_host, settings.http_port)]
        if settings.http_socket is not None:
            listening.append(bind_unix(settings.http_socket))
    except SettingsError as error:
        fail(str(error))
    heartbeat = start_heartbeat("camera")
    heartbeat.expect("web", 30.0)
    saved, desired = SavedValues(settings.camera_state_dir), DesiredSettings(settings.camera_state_dir)
    camera = assemble(settings, saved, desired, heartbeat)

    async def work(stop: Stop) -> None:
        routes = [
            *Controls(camera.grabber, saved, desired).routes(),
            *aiming_routes(Viewers(camera.latest, stop)),
            *settings.driver.routes(camera.driver),
        ]
        app = make_app(camera.snapshots, camera.health, desired, routes)
        camera.grabber.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(serve(app, listening, stop))
                group.create_task(watch(camera.grabber, heartbeat, stop))
                await stop.wait()
                camera.latest.end()
        finally:
            await asyncio.to_thread(camera.grabber.stop)

    log.info("camera service starts", source=settings.shown_source)
    watch_over(heartbeat)
    return lifecycle.run(work)
