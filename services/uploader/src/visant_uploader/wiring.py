"""The wiring of `visant-uploader run`, and its end."""

import asyncio
import time
from importlib.metadata import version
from random import Random

import structlog

from visant_runtime import lifecycle, logs
from visant_runtime.clock import Clock
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError, fail, load
from visant_uploader.capture.camera_client import CameraClient
from visant_uploader.capture.camera_slots import CameraSlots
from visant_uploader.capture.debug_frames import DebugFrames
from visant_uploader.capture.executor import Executor
from visant_uploader.capture.loop import CaptureLoop
from visant_uploader.capture.outcome_writer import OutcomeWriter
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue
from visant_uploader.counters import Counters
from visant_uploader.degraded import Degraded
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.loop import DeliveryLoop
from visant_uploader.delivery.pace import DeliveryPace
from visant_uploader.delivery.queue import DeliveryQueue
from visant_uploader.delivery.sender import Sender
from visant_uploader.outcomes import Outcomes
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool.figures import Limits
from visant_uploader.spool.known_cloud import FILE_NAME
from visant_uploader.spool.store import Spool, SpoolInUse
from visant_uploader.telemetry import TelemetryLoop

log = structlog.get_logger()

LOCK_PATIENCE = 10.0
"""Seconds that a predecessor may take to end."""


def run() -> int:
    """Until SIGTERM; the exit status."""
    settings = load(UploaderSettings)
    logs.configure(format=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    counters = Counters()
    try:
        cloud = _cloud(settings, counters)
    except SettingsError as error:
        fail(str(error))
    heartbeat = start_heartbeat("uploader")
    spool = Spool(settings.spool_dir, Limits(settings.spool_max_bytes, settings.spool_min_free_bytes), counters)
    _open(spool)
    try:
        return lifecycle.run(lambda stop: _work(settings, spool, cloud, counters, heartbeat, stop))
    finally:
        spool.close()


def _cloud(settings: UploaderSettings, counters: Counters) -> CloudClient:
    token = settings.device_token
    return CloudClient(
        settings.api_url,
        settings.device_id,
        token.get_secret_value() if token else None,
        timeout=settings.upload_timeout,
        counters=counters,
        device_version=version("visant-uploader"),
    )


async def _work(
    settings: UploaderSettings, spool: Spool, cloud: CloudClient, counters: Counters, heartbeat: Heartbeat, stop: Stop
) -> None:
    device_version = version("visant-uploader")
    clock = Clock()
    queue = CommandQueue(settings.redis_url)
    camera = CameraClient(settings.camera_url)
    watch = CloudWatch(queue, settings.api_url, spool.folders.root / FILE_NAME, clock)
    watch.recall()
    outcomes = Outcomes(settings.device_id, settings.api_url, device_version, watch)
    delivery = DeliveryLoop(
        spool,
        Sender(spool, cloud, watch, outcomes, counters),
        watch,
        DeliveryQueue(),
        DeliveryPace(Random()),
        device_id=settings.device_id,
        clock=clock,
        counters=counters,
        heartbeat=heartbeat,
    )
    degraded = Degraded(heartbeat)
    frames = DebugFrames(settings.save_frames_dir)
    capture = CaptureLoop(
        queue,
        Executor(camera, CameraSlots(camera, clock, settings.capture_patience)),
        OutcomeWriter(spool, queue, outcomes, frames, degraded, counters, delivery.released),
        watch,
        degraded,
        ttl=settings.command_ttl,
        counters=counters,
        heartbeat=heartbeat,
    )
    telemetry = TelemetryLoop(
        cloud,
        camera,
        spool,
        watch,
        device_id=settings.device_id,
        interval=settings.telemetry_interval,
        update_status_file=settings.update_status_file,
        device_version=device_version,
        counters=counters,
        heartbeat=heartbeat,
    )
    watch.on_confirmed += [delivery.wake, telemetry.wake]
    log.info("uploader ready", device_id=settings.device_id, spool=str(settings.spool_dir))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(stop, heartbeat))
            tasks.create_task(capture.run(stop))
            tasks.create_task(delivery.run(stop))
            tasks.create_task(telemetry.run(stop))
    finally:
        await asyncio.gather(queue.close(), camera.close(), cloud.close())


def _open(spool: Spool) -> None:
    """Ends the process with one line where the spool cannot be had. SIGTERM ends it too: nothing has begun."""
    for attempt in range(int(LOCK_PATIENCE)):
        if attempt:
            time.sleep(1.0)
        try:
            spool.open()
        except SpoolInUse:
            continue
        except OSError as error:
            fail(f"SPOOL_DIR={spool.folders.root} cannot be used ({error.strerror}): name a writable folder")
        return
    fail(f"SPOOL_DIR={spool.folders.root} is in use by another uploader: run one uploader a spool")
