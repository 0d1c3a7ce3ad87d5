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
from visant_runtime.metrics import serve_metrics
from visant_runtime.settings import SettingsError, fail, load
from visant_uploader.capture.camera_client import CameraClient
from visant_uploader.capture.camera_slots import CameraTurns
from visant_uploader.capture.debug_frames import DebugFrames
from visant_uploader.capture.executor import Execution
from visant_uploader.capture.loop import CaptureLoop
from visant_uploader.capture.outcome_writer import Commit
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue
from visant_uploader.counters import Counters
from visant_uploader.degraded import Conditions
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.loop import DeliveryLoop
from visant_uploader.delivery.network import NetworkWatch
from visant_uploader.delivery.pace import DeliveryPace
from visant_uploader.delivery.queue import DeliveryOrder
from visant_uploader.delivery.sender import Courier
from visant_uploader.outcomes import Outcomes
from visant_uploader.settings import UploaderSettings
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
        serve_metrics(settings.http_host, settings.http_port)
        cloud = CloudClient(settings, Clock(), counters=counters, device_version=version("visant-uploader"))
    except SettingsError as error:
        fail(str(error))
    heartbeat = start_heartbeat("uploader")
    counters.publish()
    spool = Spool(
        settings.spool_dir,
        max_bytes=settings.spool_max_bytes,
        min_free_bytes=settings.spool_min_free_bytes,
        counters=counters,
    )
    _open(spool)
    try:
        return lifecycle.run(lambda stop: _work(settings, spool, cloud, counters, heartbeat, stop))
    finally:
        spool.close()


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
        Courier(spool, cloud, watch, outcomes, counters),
        watch,
        DeliveryOrder(),
        DeliveryPace(Random()),
        device_id=settings.device_id,
        clock=clock,
        counters=counters,
        heartbeat=heartbeat,
    )
    conditions = Conditions(heartbeat)
    frames = DebugFrames(settings.save_frames_dir)
    capture = CaptureLoop(
        queue,
        Execution(camera, CameraTurns(camera, clock, settings.capture_patience)),
        Commit(spool, queue, outcomes, frames, conditions, counters, delivery.released),
        watch,
        conditions,
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
    network = NetworkWatch(delivery.wake)
    watch.on_confirmed += [delivery.wake, telemetry.wake]
    log.info("uploader ready", device_id=settings.device_id, spool=str(settings.spool_dir))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(stop, heartbeat))
            tasks.create_task(capture.run(stop))
            tasks.create_task(delivery.run(stop))
            tasks.create_task(telemetry.run(stop))
            tasks.create_task(network.run(stop))
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
