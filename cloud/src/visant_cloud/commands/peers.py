"""Other processes of this cloud on the same PostgreSQL: what they queued for our streams, which streams they hold.

Polled every half second: devices that have a fresh `pending` trigger are nudged, whoever made it, and the streams of
the others are counted in, so that each process answers the same. SQLite has one process and needs none of this.
"""

import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from visant_cloud.commands.hub import CommandHub
from visant_cloud.store import processes, triggers
from visant_cloud.store.database import DATABASE_ERRORS, Database
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

TICK = 0.5
"""Seconds between polls: at most so much later comes a trigger that another process made."""
LOOP = "peers"
_TELL_EVERY = 5.0
_ALIVE = timedelta(seconds=15)
"""A process not heard of for so long is dead and holds no streams."""
_FORGET = timedelta(hours=1)
_OVERLAP = timedelta(seconds=60)
"""Read again each time: for rows that were committed late, or by a machine whose clock is behind."""


class Peers:
    """One per process."""

    def __init__(self, database: Database, hub: CommandHub, now: Callable[[], datetime]) -> None:
        self.process_id = secrets.token_hex(8)
        self._database = database
        self._hub = hub
        self._now = now
        self._told: dict[str, int] | None = None
        self._tell_at = 0.0
        self._since = now()

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""
        if self._database.sqlite:
            return
        await every(
            TICK,
            self.poll,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=60.0,
            survives=DATABASE_ERRORS,
            complaint="other processes not looked at",
        )

    async def poll(self) -> None:
        """One round."""
        began = self._now()
        ours = self._hub.connected_here()
        if ours != self._told or time.monotonic() >= self._tell_at:
            async with self._database.writing() as connection:
                await processes.tell(connection, self.process_id, ours, _FORGET)
            self._told, self._tell_at = ours, time.monotonic() + _TELL_EVERY
        async with self._database.reading() as connection:
            self._hub.elsewhere = await processes.others(connection, self.process_id, _ALIVE)
            waiting = await triggers.waiting_devices(connection, self._since - _OVERLAP) if ours else []
        self._since = began
        for device_key in waiting:
            self._hub.nudge(device_key)

    async def leave(self) -> None:
        """Tells the others that the streams of this process are closed; where it cannot, they notice by _ALIVE."""
        if self._database.sqlite:
            return
        try:
            async with self._database.writing() as connection:
                await processes.leave(connection, self.process_id)
        except DATABASE_ERRORS as error:
            log.warning("could not tell the other processes", error=str(error)[:200])
