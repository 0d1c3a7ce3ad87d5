"""Devices: listed, created, told what to do on a schedule and how to be set."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from visant_cloud.access import audit, credentials
from visant_cloud.access.authenticate import TelemetryDevice
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Anyone, Operator, Technician, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.fleet import actions, device_rows
from visant_cloud.fleet.groups import ids_of as group_ids_of
from visant_cloud.fleet.names import Name, NameOrNothing, Notes, Tag
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import device_states, devices, labels, schedules, telemetry_history
from visant_cloud.store import scope as scopes
from visant_cloud.store.keys import device_id_of, organisation_of
from visant_cloud.times import time_or_none
from visant_cloud.views import answers, as_json, etags
from visant_cloud.views.etags import IfMatch
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
    site: NameOrNothing | None = None
    """Where it stands: alerts of one site are told of together. Empty: nowhere in particular."""
    name: NameOrNothing | None = None
    """As people call it, in any script. Empty: by its id."""
    notes: Notes | None = None
    groups: Annotated[list[Name], Field(max_length=100)] | None = None
    """All groups that it is in, by name."""
    tags: Annotated[list[Tag], Field(max_length=labels.MAX_TAGS)] | None = None
    """All its tags."""


class Schedule(BaseModel):
    """Body of `PUT /v1/devices/{device_id}/schedule`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    interval_seconds: Annotated[float, Field(ge=1, le=31 * 86400, allow_inf_nan=False)] | None
    """Seconds between pictures; null: no schedule."""


@router.get("/v1/devices/connected", tags=["operator"])
async def connected(request: Request, caller: Viewer) -> answers.ConnectedDevices:
    """The devices whose stream is open."""
    cloud, scope = cloud_of(request), caller.scope
    streams = {k: n for k, n in cloud.hub.connected().items() if organisation_of(k) == scope.organisation_id}
    shown = streams.keys() if scope.group_ids is None else await scopes.within(cloud.database, scope, streams)
    mine = {device_id_of(key): n for key, n in streams.items() if key in shown}
    return {"devices": [{"device_id": i, "subscribers": n} for i, n in mine.items()], "count": len(mine)}


@router.post("/v1/devices", tags=["operator"], status_code=201, responses=refuses(409))
async def create(request: Request, caller: Technician, new: NewDevice) -> answers.DeviceToken:
    """A new device. Its token is shown in this answer and never again."""
    cloud = cloud_of(request)
    token, key = credentials.device_token(), caller.new_key(new.device_id)
    async with cloud.database.writing() as connection:
        made = await devices.create(
            connection,
            key,
            cloud.now(),
            token_hash=credentials.digest(token),
            old_client=new.old_client,
        )
        dying = not made and await devices.being_deleted(connection, key)
        if made:
            await scopes.put_into(connection, caller.scope, key)
        audit.changed(request, what=new.device_id, after=new.model_dump())
    if dying:
        raise Refusal(409, f"Device {new.device_id} is being deleted: its job in GET /v1/jobs says how far", "deleting")
    if not made:
        raise Refusal(409, f"Device {new.device_id} exists already", "exists")
    if new.old_client:
        cloud.hub.disconnect(key)  # who may come without a token is known at once
    return {"device_id": new.device_id, "token": token}


@router.get("/v1/devices/{device_id}", tags=["operator"])
async def one(request: Request, response: Response, caller: Anyone, device_id: str) -> answers.DeviceRow:
    """One device. The ETag is of what PATCH changes."""
    async with cloud_of(request).database.reading() as connection:
        found = await device_rows.of_keys(
            connection, cloud_of(request), caller.scope.organisation_id, [caller.key(device_id)]
        )
    if not found:
        raise unknown_device(device_id)
    response.headers["ETag"] = etags.of(_edited(found[0]))
    return found[0]


def _edited(row: answers.DeviceRow) -> dict[str, Any]:
    return {name: row[name] for name in ("name", "site", "notes", "groups", "tags", "active", "access")}


_BY_HAND = {"name", "notes", "groups", "tags"}
"""What two people may edit at once. Programs of before set the rest without an ETag."""


@router.patch("/v1/devices/{device_id}", tags=["operator"], responses=refuses(412, 428))
async def change(
    request: Request,
    response: Response,
    caller: Operator,
    device_id: str,
    wanted: DeviceChange,
    if_match: IfMatch = None,
) -> answers.DeviceRow:
    """Suspends or resumes a device, or says how it is called and where it belongs; null or left out stays.

    Whom it bars, its open streams end; who may comes back. A change of name, notes, groups or tags needs If-Match.
    """
    cloud, key = cloud_of(request), caller.key(device_id)
    given = wanted.model_dump(exclude_none=True)
    async with cloud.database.writing() as connection:
        row = await devices.held(connection, key)
        if row is None:
            raise unknown_device(device_id)
        kept = await labels.of_device(connection, key)
        now: dict[str, Any] = {
            "name": row.name,
            "site": row.site,
            "notes": kept.notes,
            "groups": kept.groups,
            "tags": kept.tags,
        }
        now |= {"active": row.active, "access": as_json.access(row)}
        etags.check(if_match, etags.of(now), needed=not _BY_HAND.isdisjoint(given))
        by_access = {name: given[name] for name in given.keys() & {"active", "old_client", "token_revoked"}}
        if by_access:
            await devices.change(connection, key, **by_access)
        texts = {name: given[name] or None for name in given.keys() & {"name", "site", "notes"}}
        if texts:
            await devices.name(connection, row, **texts)
        if "groups" in given:
            wanted_ids = await group_ids_of(connection, caller.organisation_id, given["groups"])
            await labels.leave(connection, [key])
            await labels.join(connection, wanted_ids, [key])
        if "tags" in given:
            await labels.remove_tags(connection, [key])
            await labels.add_tags(connection, [key], set(given["tags"]))
        audit.changed(request, before={name: now.get(name, getattr(row, name, None)) for name in given}, after=given)
    if by_access:
        cloud.hub.disconnect(key)
    return await one(request, response, caller, device_id)


@router.post("/v1/devices/{device_id}/token", tags=["operator"])
async def new_token(request: Request, caller: Technician, device_id: str) -> answers.DeviceToken:
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
    cloud, key = cloud_of(request), caller.key(device_id)
    async with cloud.database.writing() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
        before = await schedules.find(connection, key)
        audit.changed(request, before=before and before.interval_seconds, after=wanted.interval_seconds)
        first = await actions.schedule(connection, key, wanted.interval_seconds, cloud.now())
    return {
        "device_id": device_id,
        "interval_seconds": wanted.interval_seconds,
        "next_scheduled_at": time_or_none(first),
    }


@router.get("/v1/devices/{device_id}/missed", tags=["operator"])
async def missed(
    request: Request, caller: Viewer, device_id: str, limit: Annotated[int, Query(ge=1, le=5000)] = 100
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
    async with cloud.database.writing() as connection:
        before = await devices.find(connection, key)
        audit.changed(request, before=before and before.config, after=config)
        found, trigger_id = await actions.configure(connection, cloud, key, config, connected=connected_now)
        if not found:
            raise unknown_device(device_id)
    actions.told(cloud, key, connected=connected_now)
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
