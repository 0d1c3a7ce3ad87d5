"""Says `expired` for now of triggers whose device stayed silent past the deadline. The device's word, or a late
picture, replaces it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from visant_cloud.database.engine import DATABASE_ERRORS, Database
from visant_cloud.store import trigger_outcomes
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

TICK = 2.0
"""Seconds between rounds."""
LOOP = "expiry"


class Expiry:
    """One per process; several do no harm."""

    def __init__(self, database: Database, now: Callable[[], datetime], grace: float) -> None:
        self._database = database
        self._now = now
        self._grace = timedelta(seconds=grace)

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""
        await every(
            TICK,
            self.sweep,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=60.0,
            survives=DATABASE_ERRORS,
            complaint="deadlines not looked at",
        )

    async def sweep(self) -> int:
        """One round; returns how many triggers were given up for now."""
        now, expired = self._now(), 0
        while True:  # a short transaction after the other: a fleet that is away for an hour holds up nobody
            async with self._database.writing() as connection:
                ended = await trigger_outcomes.expire_silent(connection, now - self._grace, now)
            for device_key, trigger_id in ended:
                log.info("trigger expired: its device is silent", device=device_key, trigger_id=trigger_id)
            expired += len(ended)
            if not ended:
                break
        return expired
