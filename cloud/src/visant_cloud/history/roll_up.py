"""RollUp: makes the hours of five-minute steps out of the reports that are kept for two days.

One process at a time does it (store/leases.py). Two would do no harm: an hour is made of the same reports, however
often, and put in the same place.
"""

import asyncio
from datetime import timedelta

from visant_cloud.context import Cloud
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.store import leases, telemetry_history
from visant_cloud.store.telemetry_history import HOUR
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.kill_point import kill_point
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

TICK = 60.0
"""Seconds between looks."""
GRACE = timedelta(minutes=5)
"""After the end of an hour: the clocks of several processes may differ by so much."""
LOOP = "telemetry"
_LEASE = "telemetry"
_LENGTH = timedelta(minutes=2)
_PAUSE = 0.05
"""Seconds between two transactions: then others have their turn."""


class RollUp:
    """One per process."""

    def __init__(self, cloud: Cloud, process_id: str) -> None:
        self._cloud = cloud
        self._process_id = process_id

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""

        async def work() -> None:
            while await self.hour(stop, heartbeat):
                pass

        await every(
            TICK,
            work,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=300.0,
            survives=DATABASE_ERRORS,
            complaint="telemetry not added up",
        )

    async def hour(self, stop: Stop | None = None, heartbeat: Heartbeat | None = None) -> bool:
        """Makes the next hour that is over; False where there is none, another process does it, or it was stopped."""
        database, now = self._cloud.database, self._cloud.now()
        made = await telemetry_history.rolled(database)
        if made is not None and made > now and await self._mine():
            async with database.writing() as connection:  # the clock was ahead
                await telemetry_history.put_rolled(connection, now)
        hour = await telemetry_history.next_hour(database)
        if hour is None or hour + HOUR + GRACE > now:
            return False
        last: str | None = ""
        while last is not None:
            if (stop is not None and stop.is_set()) or not await self._mine():
                return False
            async with database.writing() as connection:
                last = await telemetry_history.roll_up(connection, hour, last)
                if last is None:
                    await telemetry_history.put_rolled(connection, hour + HOUR)
            kill_point("telemetry_rolled")
            if heartbeat is not None:
                heartbeat.beat(LOOP)
            await asyncio.sleep(_PAUSE)
        return True

    async def _mine(self) -> bool:
        return await leases.hold(self._cloud.database, _LEASE, self._process_id, _LENGTH)
