"""TriggerScheduler: fires the devices' schedules. "Due" is counted from the last scheduled time, so nothing drifts.

Several processes may run it on one database: whoever moves a device's next time on is the one that fires.
"""

import hashlib
import math
from collections.abc import Callable
from datetime import datetime, timedelta

from visant_cloud.commands.hub import CommandHub
from visant_cloud.store import devices, triggers
from visant_cloud.store.database import DATABASE_ERRORS, Database
from visant_cloud.store.devices import Device
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

TICK = 0.5
"""Seconds between rounds."""
LOOP = "scheduler"


def first_firing(device_key: str, interval: float, now: datetime) -> datetime:
    """The first time of a new schedule: within one interval, at a place that the key's hash chooses."""
    share = int.from_bytes(hashlib.sha256(device_key.encode()).digest()[:8], "big") / 2**64
    return now + timedelta(seconds=share * interval)


def catch_up(scheduled: datetime, interval: float, now: datetime) -> tuple[datetime, datetime]:
    """(the time to fire for, the next one): of times missed meanwhile only the last is made up for."""
    missed = max(0, math.floor((now - scheduled).total_seconds() / interval))
    latest = scheduled + timedelta(seconds=missed * interval)
    return latest, latest + timedelta(seconds=interval)


class TriggerScheduler:
    """One per process."""

    def __init__(self, database: Database, hub: CommandHub, now: Callable[[], datetime], ttl_max: float) -> None:
        self._database = database
        self._hub = hub
        self._now = now
        self._ttl_max = ttl_max

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""
        await every(
            TICK,
            self.fire_due,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=60.0,
            survives=DATABASE_ERRORS,
            complaint="schedules not looked at",
            degrades="database",
        )

    async def fire_due(self) -> int:
        """Fires all that is due now; returns how many."""
        now = self._now()
        async with self._database.reading() as connection:
            due = await devices.due(connection, now)
        return sum([await self._fire(device, now) for device in due])

    async def _fire(self, device: Device, now: datetime) -> bool:
        assert device.schedule_next_at is not None
        assert device.schedule_interval is not None
        slot, after = catch_up(device.schedule_next_at, device.schedule_interval, now)
        async with self._database.writing() as connection:
            if not await devices.advance_schedule(connection, device.device_key, device.schedule_next_at, after):
                return False
            _, new = await triggers.create(
                connection,
                device.device_key,
                now,
                min(device.schedule_interval, self._ttl_max),
                type="scheduled",
                scheduled_for=slot,
            )
        if new:
            self._hub.nudge(device.device_key)
        return new
