"""`visant-cloud run`: the wiring, and the tasks whose end is the process's end."""

import asyncio
import logging
import socket
import time
from pathlib import Path

import structlog
import uvloop

from visant_cloud import server, workers
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.access.revocation import Revocation
from visant_cloud.alerts.certificate_watch import CertificateWatch
from visant_cloud.alerts.rounds import AlertRounds
from visant_cloud.app import create_app
from visant_cloud.captures import at_start
from visant_cloud.captures.storage import PictureStorage
from visant_cloud.channels.outbox import Outbox
from visant_cloud.commands.bell import RedisBell
from visant_cloud.commands.expiry import Expiry
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.peers import Peers
from visant_cloud.commands.scheduler import TriggerScheduler
from visant_cloud.commands.stream_journal import StreamJournal
from visant_cloud.context import Cloud
from visant_cloud.database import connection_url
from visant_cloud.database.engine import Database
from visant_cloud.history.roll_up import RollUp
from visant_cloud.housekeeping import Housekeeping
from visant_cloud.jobs.runner import JobRunner
from visant_cloud.metrics import TELL_EVERY, Exchange
from visant_cloud.settings import CloudSettings
from visant_cloud.step_filter import StepFilter
from visant_cloud.store.schema import migrate_when_there
from visant_runtime import lifecycle, logs, settings
from visant_runtime.clock import Clock
from visant_runtime.health import default_path
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()


def run(chosen: CloudSettings, count: int = 1) -> int:
    """Until SIGTERM, in `count` processes. Returns the exit status."""
    logs.configure(format=chosen.log_format, level=chosen.log_level, secrets=chosen.secrets())
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        if chosen.uses_data_dir:
            chosen.data_dir.mkdir(parents=True, exist_ok=True)
        listener = server.listen(chosen)
    except settings.SettingsError as error:
        settings.fail(str(error))
    except OSError as error:
        settings.fail(
            f"DATA_DIR={chosen.data_dir} cannot be used ({error.strerror}): name a folder this user may write"
        )
    for line in connection_url.warnings(chosen.engine_url()):
        log.warning(line)
    heartbeat = start_heartbeat("cloud")
    server.raise_file_limit()
    try:
        cloud_id, url = asyncio.run(migrate_when_there(chosen.engine_url()))
        pictures = at_start.storage_of(chosen, cloud_id)
        if count == 1:
            asyncio.run(at_start.prepare_storage(chosen, pictures))
        else:
            at_start.apart(lambda: asyncio.run(at_start.prepare_storage(chosen, pictures)))
    except settings.SettingsError as error:
        settings.fail(str(error))

    beats = Path(default_path("cloud"))
    told = {number: Path(f"{workers.heartbeat_of(beats, number)}.metrics") for number in range(1, count + 1)}

    def work(heartbeat: Heartbeat, number: int = 1, supervisor: int | None = None) -> int:
        exchange = Exchange(told, number)
        return lifecycle.run(
            lambda stop: _main(chosen, url, cloud_id, pictures, listener, heartbeat, exchange, stop, supervisor),
            loop_factory=uvloop.new_event_loop,
        )

    if count == 1:
        return work(heartbeat)

    def one_of_many(number: int, supervisor: int) -> int:
        structlog.contextvars.bind_contextvars(worker=number)
        return work(Heartbeat(workers.heartbeat_of(beats, number)), number, supervisor)

    heartbeat.fact("port", listener.getsockname()[1])
    return workers.Supervisor(count, one_of_many, heartbeat, beats).run()


async def _main(
    chosen: CloudSettings,
    url: str,
    cloud_id: str,
    pictures: PictureStorage,
    listener: socket.socket,
    heartbeat: Heartbeat,
    exchange: Exchange,
    stop: Stop,
    supervisor: int | None,
) -> None:
    if supervisor is not None:
        workers.watch(supervisor, stop)
    database = Database(url)
    clock = Clock()
    now = StepFilter(clock.wall, clock.boottime, await database.now())
    hub = CommandHub()
    journal = StreamJournal(database, now)
    peers = Peers(database, hub, now)
    bell = None
    if chosen.redis_url is not None and database.sqlite:
        log.warning("REDIS_URL is set and rings for nobody: SQLite serves one process")
    elif chosen.redis_url is not None:
        bell = RedisBell(chosen.redis_url, cloud_id, peers.process_id, hub, heartbeat)
        hub.bell = peers.bell = bell
    scheduler = TriggerScheduler(database, hub, now, chosen.scheduled_ttl_max)
    cloud = Cloud(
        chosen,
        database,
        cloud_id,
        hub,
        pictures,
        journal,
        now,
        heartbeat=heartbeat,
        scheduler=scheduler,
        exchange=exchange,
    )
    if bell is not None:
        cloud.events.ring, bell.on_events = bell.events, database.written.set
    if chosen.auth != "open":
        cloud.warning = at_start.loss_ahead(chosen)
    if chosen.delivery_rate is not None:
        cloud.delivery_limits = RateLimits(chosen.delivery_rate, max(1.0, chosen.delivery_rate), time.monotonic)
    heartbeat.fact("port", listener.getsockname()[1])
    if chosen.auth == "open":
        log.warning("AUTH=open: anybody who reaches this address may do everything; for emulation only")
    if cloud.warning:
        log.warning(cloud.warning)
    log.info(
        "cloud ready",
        url=server.url(listener),
        cloud_id=cloud_id,
        database="sqlite" if database.sqlite else "postgresql",
        pictures="folder" if chosen.storage_url is None else "s3",
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            endless = [tasks.create_task(journal.run())]
            if bell is not None:
                endless.append(tasks.create_task(bell.run()))
            tasks.create_task(scheduler.run(stop, heartbeat))
            tasks.create_task(Expiry(database, now, chosen.silence_grace).run(stop, heartbeat))
            tasks.create_task(Housekeeping(cloud).run(stop, heartbeat))
            tasks.create_task(AlertRounds(cloud, peers.process_id).run(stop, heartbeat))
            tasks.create_task(CertificateWatch(cloud).run(stop, heartbeat))
            tasks.create_task(Outbox(cloud).run(stop, heartbeat))
            tasks.create_task(RollUp(cloud, peers.process_id).run(stop, heartbeat))
            tasks.create_task(JobRunner(cloud, peers.process_id).run(stop, heartbeat))
            tasks.create_task(peers.run(stop, heartbeat))
            tasks.create_task(Revocation(cloud).run(stop, heartbeat))
            tasks.create_task(cloud.later.run(stop, heartbeat))
            if supervisor is not None:
                tasks.create_task(_tell_metrics(cloud, stop, heartbeat))
            await server.serve(create_app(cloud), cloud, listener, stop)
            if not stop.is_set():
                raise RuntimeError("the web server ended by itself")
            for task in endless:
                task.cancel()
        await journal.flush()
        await cloud.later.flush_last()
        await peers.leave()
        if bell is not None:
            await bell.leave()
    finally:
        cloud.decoders.close()
        await database.close()


async def _tell_metrics(cloud: Cloud, stop: Stop, heartbeat: Heartbeat) -> None:
    async def tell() -> None:
        cloud.exchange.tell(cloud.counted())

    await every(
        TELL_EVERY,
        tell,
        stop,
        heartbeat,
        loop="metrics",
        max_age=60.0,
        survives=(OSError,),
        complaint="metrics not told to the other workers",
        at_once=True,
    )
