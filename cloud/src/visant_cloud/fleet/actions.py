"""What is done to a device, by a request about one or by a job about many."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.commands.scheduler import first_firing
from visant_cloud.context import Cloud
from visant_cloud.events import types
from visant_cloud.store import devices, events, schedules, trigger_creation, triggers


async def schedule(
    connection: AsyncConnection, device_key: str, interval: float | None, now: datetime
) -> datetime | None:
    """A picture every `interval` seconds from now on, None: none. Returns when the first comes."""
    if interval is None:
        await schedules.remove(connection, device_key)
        return None
    first = first_firing(device_key, interval, now)
    await schedules.put(connection, device_key, interval, first, now)
    return first


async def configure(
    connection: AsyncConnection, cloud: Cloud, device_key: str, config: dict[str, Any], *, connected: bool
) -> tuple[bool, str | None]:
    """Settings for the device: whether it is there, and the trigger under which it answers, None where it is absent.

    After the commit `told` is called.
    """
    if not await devices.change(connection, device_key, config=config):
        return False, None
    await triggers.end_settings(connection, device_key, cloud.now())
    trigger_id = None
    if connected:  # an absent device gets them with `connected`; there is nothing to time out
        trigger_id = await _sent(connection, cloud, device_key, config)
    await events.note(connection, types.device_settings(device_key, cloud.now(), config, trigger_id))
    return True, trigger_id


async def _sent(connection: AsyncConnection, cloud: Cloud, device_key: str, config: dict[str, Any]) -> str:
    row, _ = await trigger_creation.create(
        connection,
        device_key,
        cloud.now(),
        cloud.settings.manual_ttl,
        kind="update_config",
        type="config",
        config=config,
    )
    return row.trigger_id


def told(cloud: Cloud, device_key: str, *, connected: bool) -> None:
    """The settings are in the database."""
    if connected:
        cloud.hub.nudge(device_key)
    else:
        cloud.hub.disconnect(device_key)  # a stream that began meanwhile may have told the old settings
