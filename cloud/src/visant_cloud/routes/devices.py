"""Devices: listed, created, told what to do on a schedule and how to be set."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from visant_cloud.access import credentials
from visant_cloud.access.authenticate import TelemetryDevice
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Operator
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.alerts.rules import Rules
from visant_cloud.alerts.states import Pictures
from visant_cloud.commands.scheduler import first_firing
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.events import types
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import (
    alert_rules,
    alerts,
    device_states,
    devices,
    events,
    fleet,
    quality,
    schedules,
    telemetry_history,
    trigger_creation,
    triggers,
)
from visant_cloud.store.device_states import DeviceState
from visant_cloud.store.devices import Device
from visant_cloud.store.keys import device_id_of, organisation_of
from visant_cloud.times import time_or_none
from visant_cloud.views import answers, as_json
from visant_contract.ids import DeviceId
from visant_contract.telemetry import Telemetry

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)])
MAX_CONFIG_BYTES = 64 << 10
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
"""Without control characters: it stands in the subject of a mail."""


class NewDevice(BaseModel):
    """Body of `POST /v1/devices`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    device_id: DeviceId
    old_client: bool = False
    """It gets in with its id alone until it first presents a token."""


class DeviceChange(BaseModel):
    """Body of `PATCH /v1/devices/{device_id}`; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)
    active: bool | None = None
    old_client: bool | None = None
    token_revoked: bool | None = None
    site: Annotated[str, Field(max_length=100, pattern=ONE_LINE)] | None = None
    """Where it stands: alerts of one site are told of together. Empty: nowhere in particular."""


class Schedule(BaseModel):
    """Body of `PUT /v1/devices/{device_id}/schedule`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    interval_seconds: Annotated[float, Field(ge=1, le=31 * 86400, allow_inf_nan=False)] | None
    """Seconds between pictures; null: no schedule."""


@router.get("/v1/devices", tags=["operator"], response_model=answers.DeviceList)
async def listing(request: Request, caller: Operator, state: answers.State | None = None) -> Response:
    """Every device, or those in one state."""
    cloud = cloud_of(request)
    now = cloud.now()
    async with cloud.database.reading() as connection:
        scheduled = await schedules.everyone(connection, caller.organisation_id)
        rules = await alert_rules.find(connection, caller.organisation_id)
        is_open = await alerts.open_since(connection, caller.organisation_id)
        said = await quality.verdicts(connection, caller.organisation_id)
        shown = [
            _shown(cloud, row, last, scheduled.get(key := row.device_key), now, is_open.get(key), rules, said.get(key))
            async for row, last in fleet.devices_with_states(connection, caller.organisation_id)
        ]
    if state is not None:
        shown = [one for one in shown if one["state"] == state]
    return await asyncio.to_thread(JSONResponse, {"devices": shown, "count": len(shown)})


@router.get("/v1/devices/connected", tags=["operator"])
async def connected(request: Request, caller: Operator) -> answers.ConnectedDevices:
    """The devices whose stream is open."""
    streams = cloud_of(request).hub.connected()
    mine = {device_id_of(key): n for key, n in streams.items() if organisation_of(key) == caller.organisation_id}
    return {"devices": [{"device_id": i, "subscribers": n} for i, n in mine.items()], "count": len(mine)}


@router.post("/v1/devices", tags=["operator"], status_code=201, responses=refuses(409))
async def create(request: Request, caller: Operator, new: NewDevice) -> answers.DeviceToken:
    """A new device. Its token is shown in this answer and never again."""
    cloud = cloud_of(request)
    token = credentials.device_token()
    async with cloud.database.writing() as connection:
        made = await devices.create(
            connection,
            caller.key(new.device_id),
            cloud.now(),
            token_hash=credentials.digest(token),
            old_client=new.old_client,
        )
    if not made:
        raise Refusal(409, f"Device {new.device_id} exists already", "exists")
    if new.old_client:
        cloud.hub.disconnect(caller.key(new.device_id))  # who may come without a token is known at once
    return {"device_id": new.device_id, "token": token}


@router.get("/v1/devices/{device_id}", tags=["operator"])
async def one(request: Request, caller: Operator, device_id: str) -> answers.DeviceRow:
    """One device."""
    cloud = cloud_of(request)
    async with cloud.database.reading() as connection:
        row = await devices.find(connection, caller.key(device_id))
        if row is None:
            raise unknown_device(device_id)
        last = await device_states.find(connection, row.device_key)
        scheduled = await schedules.find(connection, row.device_key)
        rules = await alert_rules.find(connection, row.organisation_id)
        is_open = await alerts.open_since(connection, row.organisation_id, row.device_key)
        said = await quality.verdicts(connection, row.organisation_id, row.device_key)
    key = row.device_key
    return _shown(cloud, row, last, scheduled, cloud.now(), is_open.get(key), rules, said.get(key))


def _shown(
    cloud: Cloud,
    row: Device,
    last: DeviceState,
    schedule: schedules.Schedule | None,
    now: datetime,
    open_since: dict[str, datetime] | None,
    rules: Rules,
    pictures: Pictures | None,
) -> answers.DeviceRow:
    subscribers = cloud.hub.subscribers(row.device_key)
    health = as_json.health(row, last, subscribers, schedule, now, open_since, rules, pictures)
    return as_json.device(row, last, subscribers, schedule, health)


@router.patch("/v1/devices/{device_id}", tags=["operator"])
async def change(request: Request, caller: Operator, device_id: str, wanted: DeviceChange) -> answers.DeviceRow:
    """Bars or admits a device, or says where it stands. Whom it bars, its open streams end; who may comes back."""
    cloud = cloud_of(request)
    values = wanted.model_dump(exclude_none=True)
    if values:
        by_access = values.keys() - {"site"}
        if "site" in values:
            values["site"] = values["site"].strip() or None
        async with cloud.database.writing() as connection:
            await devices.change(connection, caller.key(device_id), **values)
        if by_access:
            cloud.hub.disconnect(caller.key(device_id))
    return await one(request, caller, device_id)


@router.post("/v1/devices/{device_id}/token", tags=["operator"])
async def new_token(request: Request, caller: Operator, device_id: str) -> answers.DeviceToken:
    """A new token in place of the old one, which is worth nothing from now on."""
    cloud = cloud_of(request)
    token = credentials.device_token()
    async with cloud.database.writing() as connection:
        if not await devices.renew_token(connection, caller.key(device_id), credentials.digest(token)):
            raise unknown_device(device_id)
    cloud.hub.disconnect(caller.key(device_id))
    return {"device_id": device_id, "token": token}


@router.put("/v1/devices/{device_id}/schedule", tags=["operator"])
async def schedule(request: Request, caller: Operator, device_id: str, wanted: Schedule) -> answers.Scheduled:
    """A picture every so many seconds; the first comes within one interval, spread over the fleet."""
    cloud = cloud_of(request)
    key, interval = caller.key(device_id), wanted.interval_seconds
    first = None
    async with cloud.database.writing() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
        if interval is None:
            await schedules.remove(connection, key)
        else:
            now = cloud.now()
            first = first_firing(key, interval, now)
            await schedules.put(connection, key, interval, first, now)
    return {"device_id": device_id, "interval_seconds": interval, "next_scheduled_at": time_or_none(first)}


@router.get("/v1/devices/{device_id}/missed", tags=["operator"])
async def missed(
    request: Request, caller: Operator, device_id: str, limit: Annotated[int, Query(ge=1, le=5000)] = 100
) -> answers.MissedRuns:
    """Scheduled times that passed without a trigger, as runs, the newest first.

    `late`: the cloud or its database was away or too busy; the last time of such a stretch was made up for.
    `not_active`: the device was barred.
    """
    cloud, key = cloud_of(request), caller.key(device_id)
    async with cloud.database.reading() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
        runs = await schedules.missed(connection, key, limit)
    return {"device_id": device_id, "missed": [as_json.missed_run(run) for run in runs]}


@router.put("/v1/devices/{device_id}/config", tags=["operator"])
async def configure(request: Request, caller: Operator, device_id: str, config: dict[str, Any]) -> answers.Configured:
    """Settings for the device: sent at once where it is connected, and at every later connection.

    The answer names the trigger under which the device reports whether it could apply them.
    """
    cloud = cloud_of(request)
    if len(await request.body()) > MAX_CONFIG_BYTES:
        raise Refusal(413, f"The settings have more than {MAX_CONFIG_BYTES} bytes", "too_large")
    key = caller.key(device_id)
    connected_now = cloud.hub.subscribers(key) > 0
    trigger_id = None
    async with cloud.database.writing() as connection:
        if not await devices.change(connection, key, config=config):
            raise unknown_device(device_id)
        await triggers.end_settings(connection, key, cloud.now())
        if connected_now:  # an absent device gets them with `connected`; there is nothing to time out
            row, _ = await trigger_creation.create(
                connection,
                key,
                cloud.now(),
                cloud.settings.manual_ttl,
                kind="update_config",
                type="config",
                config=config,
            )
            trigger_id = row.trigger_id
        await events.note(connection, types.device_settings(key, cloud.now(), config, trigger_id))
    if connected_now:
        cloud.hub.nudge(key)
    else:
        cloud.hub.disconnect(key)  # a stream that began meanwhile may have told the old settings
    return {"device_id": device_id, "config": config, "connected": connected_now, "trigger_id": trigger_id}


@router.post("/v1/devices/{device_id}/telemetry", tags=["device"], status_code=204, responses=refuses(429))
async def telemetry(request: Request, device: TelemetryDevice, device_id: str, report: Telemetry) -> None:
    """The device's health; the newest is kept."""
    cloud = cloud_of(request)
    async with cloud.database.writing() as connection:
        told = report.model_dump(mode="json", exclude_none=True)
        await device_states.note_telemetry(connection, device.device_key, told, cloud.now())
        await telemetry_history.note(connection, device.device_key, told, cloud.now())
        if device.device_version != (version := report.device_version[:100]):
            await devices.change(connection, device.device_key, device_version=version)
