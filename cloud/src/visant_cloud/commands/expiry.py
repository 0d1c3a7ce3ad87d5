"""Says `expired` for now of triggers whose device stayed silent past the deadline. The device's word, or a late
picture, replaces it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from visant_cloud.store import triggers
from visant_cloud.store.database import Database
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop

log = structlog.get_logger()

TICK = 2.0
LOOP = "silence"


class Expiry:
    """One per process; several do no harm."""

    def __init__(self, database: Database, now: Callable[[], datetime], grace: float) -> None:
        self._database = database
        self._now = now
        self._grace = timedelta(seconds=grace)

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""
        heartbeat.expect(LOOP, 60.0)
        while not await stop.sleep(TICK):
            try:
                await self.sweep()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("deadlines not looked at", error=str(error)[:200])
            heartbeat.beat(LOOP)

    async def sweep(self) -> int:
        """One look; returns how many triggers were given up for now."""
        now = self._now()
        async with self._database.writing() as connection:
            expired = await triggers.expire_silent(connection, now - self._grace, now)
        if expired:
            log.info("triggers expired: their devices are silent", count=expired)
        return expired
