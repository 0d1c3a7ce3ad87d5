"""Devices as the API shows them, some or all of an organisation."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.alerts.rules import Rules
from visant_cloud.alerts.states import Pictures
from visant_cloud.context import Cloud
from visant_cloud.store import alert_rules, alerts, device_states, devices, fleet, labels, quality, schedules
from visant_cloud.store.device_states import NEVER_SEEN, DeviceState
from visant_cloud.store.devices import Device
from visant_cloud.store.labels import NONE, Labels
from visant_cloud.store.schedules import Schedule
from visant_cloud.store.scope import Scope
from visant_cloud.views import as_json
from visant_cloud.views.answers import DeviceRow


async def of_keys(
    connection: AsyncConnection, cloud: Cloud, organisation_id: str, device_keys: Collection[str]
) -> list[DeviceRow]:
    """These, in this order; who is not there is left out."""
    rows = await devices.of_keys(connection, device_keys)
    states = await device_states.of_devices(connection, device_keys)
    scheduled = await schedules.of_devices(connection, device_keys)
    written = await labels.of_devices(connection, device_keys)
    rules = await alert_rules.find(connection, organisation_id)
    is_open = await alerts.open_since(connection, organisation_id, device_keys)
    said = await quality.verdicts(connection, organisation_id, device_keys)
    now = cloud.now()
    return [
        _shown(
            cloud,
            rows[key],
            states.get(key, NEVER_SEEN),
            scheduled.get(key),
            now,
            is_open.get(key),
            rules,
            said.get(key),
            written.get(key),
        )
        for key in device_keys
        if key in rows
    ]


async def everyone(connection: AsyncConnection, cloud: Cloud, scope: Scope) -> list[DeviceRow]:
    """All, by id."""
    mine = scope.organisation_id
    scheduled = await schedules.everyone(connection, mine)
    rules = await alert_rules.find(connection, mine)
    is_open = await alerts.open_since(connection, mine)
    said = await quality.verdicts(connection, mine)
    found = [one async for one in fleet.devices_with_states(connection, scope)]
    written = await labels.of_devices(connection, [row.device_key for row, _ in found])
    now = cloud.now()
    return [
        _shown(
            cloud,
            row,
            last,
            scheduled.get(row.device_key),
            now,
            is_open.get(row.device_key),
            rules,
            said.get(row.device_key),
            written.get(row.device_key),
        )
        for row, last in found
    ]


def _shown(
    cloud: Cloud,
    row: Device,
    last: DeviceState,
    schedule: Schedule | None,
    now: datetime,
    open_since: dict[str, datetime] | None,
    rules: Rules,
    pictures: Pictures | None,
    written: Labels | None,
) -> DeviceRow:
    subscribers = cloud.hub.subscribers(row.device_key)
    health = as_json.health(row, last, subscribers, schedule, now, open_since, rules, pictures)
    return as_json.device(row, last, subscribers, schedule, health, written or NONE)
