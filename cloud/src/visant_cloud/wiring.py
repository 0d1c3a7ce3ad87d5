"""`visant-cloud run`: the wiring, and the tasks whose end is the process's end."""

import asyncio
import logging
import os
import resource
import socket
import time
from pathlib import Path

import structlog
import uvloop

from visant_cloud import server
from visant_cloud.access import revocation
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.app import create_app
from visant_cloud.captures.storage import Pictures
from visant_cloud.commands.expiry import Expiry
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.peers import Peers
from visant_cloud.commands.scheduler import TriggerScheduler
from visant_cloud.commands.stream_journal import StreamJournal
from visant_cloud.context import Cloud, wall
from visant_cloud.housekeeping import Housekeeping
from visant_cloud.settings import CloudSettings
from visant_cloud.store.database import DATABASE_ERRORS, Database
from visant_cloud.store.schema import migrate
from visant_runtime import lifecycle, logs, settings
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop

log = structlog.get_logger()

_DATABASE_PATIENCE = 60.0
"""Seconds that a database may take to come up beside this process."""


def run(chosen: CloudSettings) -> int:
    """Until SIGTERM. Returns the exit status."""
    logs.configure(format=chosen.log_format, level=chosen.log_level, secrets=chosen.secrets())
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        Pictures(chosen.data_dir / "pictures").prepare()
        listener = server.listen(chosen)
    except settings.SettingsError as error:
        settings.fail(str(error))
    except OSError as error:
        settings.fail(
            f"DATA_DIR={chosen.data_dir} cannot be used ({error.strerror}): name a folder this user may write"
        )
    heartbeat = start_heartbeat("cloud")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each stream is a file; the usual limit is 1,024
    cloud_id = asyncio.run(prepare(chosen))
    return lifecycle.run(
        lambda stop: _main(chosen, cloud_id, listener, heartbeat, stop), loop_factory=uvloop.new_event_loop
    )


async def prepare(chosen: CloudSettings) -> str:
    """Waits for the database, migrates it and returns its cloud_id; ends the process where it never comes."""
    database = Database(chosen.engine_url())
    give_up = time.monotonic() + _DATABASE_PATIENCE
    try:
        while True:
            try:
                return await migrate(database)
            except DATABASE_ERRORS as error:
                reason = str(error).splitlines()[0][:300]
                if time.monotonic() > give_up or database.sqlite:
                    settings.fail(f"the database cannot be used ({reason}): check DATABASE_URL and DATA_DIR")
                log.warning("waiting for the database", reason=reason)
                await asyncio.sleep(2.0)
    finally:
        await database.close()


async def _main(
    chosen: CloudSettings, cloud_id: str, listener: socket.socket, heartbeat: Heartbeat, stop: Stop
) -> None:
    database = Database(chosen.engine_url())
    hub = CommandHub()
    notes = StreamJournal(database, wall)
    siblings = Peers(database, hub)
    pictures = Pictures(chosen.data_dir / "pictures")
    cloud = Cloud(
        chosen,
        database,
        cloud_id,
        hub,
        pictures,
        notes,
        warning=None if chosen.auth == "open" else outside_volume(chosen.data_dir),
    )
    if chosen.delivery_rate is not None:
        cloud.deliveries = RateLimits(chosen.delivery_rate, max(1.0, chosen.delivery_rate), time.monotonic)
    heartbeat.fact("port", listener.getsockname()[1])
    if chosen.auth == "open":
        log.warning("AUTH=open: anybody who reaches this address may do everything; for emulation only")
    if cloud.warning:
        log.warning(cloud.warning)
    log.info(
        "cloud ready", url=_url(listener), cloud_id=cloud_id, database="sqlite" if database.sqlite else "postgresql"
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            marking = tasks.create_task(notes.run())
            tasks.create_task(TriggerScheduler(database, hub, wall, chosen.scheduled_ttl_max).run(stop, heartbeat))
            tasks.create_task(Expiry(database, wall, chosen.silence_grace).run(stop, heartbeat))
            tasks.create_task(Housekeeping(cloud).run(stop, heartbeat))
            tasks.create_task(siblings.run(stop, heartbeat))
            tasks.create_task(revocation.run(cloud, stop, heartbeat))
            await server.serve(create_app(cloud), hub, listener, chosen, stop)
            if not stop.is_set():
                raise RuntimeError("the web server ended by itself")
            marking.cancel()
        await notes.flush()
        await siblings.leave()
    finally:
        await database.close()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def outside_volume(data_dir: Path) -> str | None:
    """One line where this runs in a container and the pictures would go with it."""
    contained = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv") or "DYNO" in os.environ
    if contained and os.stat(data_dir).st_dev == os.stat("/").st_dev:
        return f"DATA_DIR={data_dir} lies in the container, not in a volume: pictures are lost with the container"
    return None
