"""Other processes of this cloud on the same PostgreSQL: what they queued for our streams, which streams they hold.

Looked at every 5 s: devices that have an unsent trigger are nudged, whoever made it. With a bell that rings (bell.py)
that is all, and finds what was said while nobody heard. Without one the processes also write down which streams they
hold, so that each answers the same. SQLite has one process and needs none of this.
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from visant_cloud.commands.bell import RedisBell
from visant_cloud.commands.hub import CommandHub
from visant_cloud.database.engine import DATABASE_ERRORS, Database
from visant_cloud.store import processes, stream_reads
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

TICK = 5.0
"""Seconds between polls: at most so much later comes a trigger that another process made, where no bell rings."""
LOOP = "peers"
_ALIVE = timedelta(seconds=15)
"""A process not heard of for so long is dead and holds no streams."""
_FORGET = timedelta(hours=1)


class Peers:
    """One per process."""

    def __init__(
        self, database: Database, hub: CommandHub, now: Callable[[], datetime], process_id: str | None = None
    ) -> None:
        self.process_id = process_id or secrets.token_hex(8)
        self.bell: RedisBell | None = None
        self._database = database
        self._hub = hub
        self._now = now

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
        ours = self._hub.connected_here()
        if not self._rings():
            async with self._database.writing() as connection:
                await processes.tell(connection, self.process_id, ours, _FORGET)
            async with self._database.reading() as connection:
                others = await processes.others(connection, self.process_id, _ALIVE)
            if not self._rings():  # still
                self._hub.elsewhere = others
        if ours:
            for device_key in await stream_reads.unsent(self._database, self._now()):
                self._hub.nudge_here(device_key)

    def _rings(self) -> bool:
        return self.bell is not None and self.bell.rings

    async def leave(self) -> None:
        """Tells the others that the streams of this process are closed; where it cannot, they notice by _ALIVE."""
        if self._database.sqlite:
            return
        try:
            async with self._database.writing() as connection:
                await processes.leave(connection, self.process_id)
        except DATABASE_ERRORS as error:
            log.warning("could not tell the other processes", error=str(error)[:200])
