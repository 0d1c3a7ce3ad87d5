"""The wiring of `visant-uploader run`, and nothing else."""

import asyncio
import os
from random import Random

import structlog

from visant_contract.env_keys import misspelt
from visant_runtime import lifecycle, logs
from visant_runtime.clock import Clock
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError, fail, load
from visant_runtime.version import release_version
from visant_runtime.watchdog import watch_over
from visant_uploader.capture.camera_client import CameraClient
from visant_uploader.capture.camera_slots import CameraSlots
from visant_uploader.capture.debug_frames import DebugFrames
from visant_uploader.capture.executor import Executor
from visant_uploader.capture.loop import CaptureLoop
from visant_uploader.capture.outcome_writer import OutcomeWriter
from visant_uploader.capture.update_request import UpdateRequests
from visant_uploader.change_pace import ChangePace
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue
from visant_uploader.counters import Counters
from visant_uploader.degraded import Degraded
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.loop import DeliveryLoop
from visant_uploader.delivery.pace import DeliveryPace
from visant_uploader.delivery.queue import DeliveryQueue
from visant_uploader.delivery.refusals import Refusals
from visant_uploader.delivery.sender import Sender
from visant_uploader.device import Device
from visant_uploader.health_report import HealthReport
from visant_uploader.host_facts import HostFactsFile
from visant_uploader.outcomes import Outcomes
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool import refusal_file
from visant_uploader.spool.figures import Limits
from visant_uploader.spool.known_cloud import FILE_NAME
from visant_uploader.spool.store import Spool
from visant_uploader.telemetry import TelemetryLoop

log = structlog.get_logger()

LOCK_PATIENCE = 10.0
"""Seconds that a predecessor may need to end."""
CHANGES, METERED_CHANGES = (3, 60.0), (3, 7200.0)
"""(so many at once, then one each so many seconds): reports of a changed state. A metered device whose camera flaps for
ever sends at most twice the reports of one whose camera does not."""


def run() -> int:
    """Until SIGTERM; the exit status."""
    notes = misspelt(os.environ)
    settings = load(UploaderSettings, notes)
    logs.configure(format=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    for note in notes:
        log.warning(note)
    device = Device(settings.device_id, release_version("visant-uploader"), settings.api_url)
    counters = Counters()
    limits = Limits(settings.spool_max_bytes, settings.spool_min_free_bytes)
    try:
        cloud = CloudClient(settings, Clock(), counters=counters, device_version=device.version)
        heartbeat = start_heartbeat("uploader")
        spool = Spool(settings.spool_dir, limits, counters, heartbeat)
        spool.open(patience=LOCK_PATIENCE)  # SIGTERM ends this as well: nothing has begun
    except SettingsError as error:
        fail(str(error))
    watch_over(heartbeat)
    try:
        return lifecycle.run(lambda stop: _work(settings, device, spool, cloud, counters, heartbeat, stop))
    finally:
        spool.close()


async def _work(
    settings: UploaderSettings,
    device: Device,
    spool: Spool,
    cloud: CloudClient,
    counters: Counters,
    heartbeat: Heartbeat,
    stop: Stop,
) -> None:
    clock = Clock()
    queue = CommandQueue(settings.redis_url)
    camera = CameraClient(settings.camera_url)
    degraded = Degraded(heartbeat)
    token = settings.device_token
    watch = CloudWatch(
        queue,
        device,
        spool.folders.root / FILE_NAME,
        clock,
        token=None if token is None else token.get_secret_value(),
    )
    outcomes = Outcomes(device, watch)
    refusals = Refusals(clock.boot_id(), clock.boottime())
    refusals.recall(refusal_file.recall(spool.folders.root / refusal_file.FILE_NAME))
    sender = Sender(spool, cloud, watch, outcomes, refusals, counters)
    delivery = DeliveryLoop(
        spool,
        sender,
        watch,
        DeliveryQueue(),
        DeliveryPace(Random()),
        refusals,
        clock=clock,
        counters=counters,
        heartbeat=heartbeat,
    )
    updates = UpdateRequests(spool.folders.root, settings.update_status_file)
    frames = DebugFrames(settings.save_frames_dir, counters)
    capture = CaptureLoop(
        queue,
        Executor(camera, CameraSlots(camera, clock, settings.capture_patience), updates, clock),
        OutcomeWriter(spool, queue, outcomes, frames, degraded, counters, delivery.released),
        watch,
        degraded,
        ttl=settings.command_ttl,
        counters=counters,
        heartbeat=heartbeat,
    )
    report = HealthReport(
        camera,
        spool,
        watch,
        device,
        queue,
        NetworkMeter(clock),
        HostFactsFile(settings.host_facts_file),
        metered=settings.metered,
        update_status_file=settings.update_status_file,
        counters=counters,
        heartbeat=heartbeat,
    )
    telemetry = TelemetryLoop(
        cloud,
        report,
        watch,
        refusals,
        ChangePace(*(METERED_CHANGES if settings.metered else CHANGES)),
        interval=settings.telemetry_interval,
        counters=counters,
        heartbeat=heartbeat,
    )
    watch.on_confirmed += [cloud.renew, sender.confirmed, delivery.wake, telemetry.wake]
    delivery.on_rejected.append(telemetry.wake)
    watch.recall()
    log.info("uploader ready", device_id=device.id, spool=str(settings.spool_dir))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(stop, heartbeat))
            tasks.create_task(capture.run(stop))
            tasks.create_task(delivery.run(stop))
            tasks.create_task(telemetry.run(stop))
    finally:
        await asyncio.gather(queue.close(), camera.close(), cloud.close())
