"""Adding devices: batches of enrolment codes with labels, how far each device is, and a code for a replacement."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.access import credentials
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Caller, Operator, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.fleet.groups import ids_of as group_ids_of
from visant_cloud.fleet.names import Name, NameOrNothing
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import access, devices, enrol_batches
from visant_cloud.store.enrol_batches import Batch, Code
from visant_cloud.times import time, time_or_none
from visant_cloud.views import enrol_labels
from visant_cloud.views.fleet_answers import (
    EnrolBatch,
    EnrolBatches,
    EnrolBatchRow,
    EnrolCodeRow,
    NewCode,
    NewEnrolBatch,
    Replacement,
)
from visant_contract.ids import DeviceId

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
MOST = 500
"""Codes of a batch."""
Number = Annotated[int, Path(ge=1, lt=2**63)]
Hours = Annotated[float, Field(gt=0, le=24 * 90, allow_inf_nan=False)]


class ForOne(BaseModel):
    """Whom a code is for."""

    model_config = ConfigDict(extra="forbid", strict=True)
    device_id: DeviceId | None = None
    """null: the device says its id when it enrols."""
    name: NameOrNothing | None = None
    """What it will be called."""


class NewBatch(BaseModel):
    """Body of `POST /v1/enrol-batches`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: Name
    """What the batch is for; it stands on the labels."""
    group: Name | None = None
    """The group that its devices join."""
    hours: Hours = 7 * 24.0
    """How long the codes are good for."""
    count: Annotated[int, Field(ge=1, le=MOST)] | None = None
    """So many codes, for devices that say their ids themselves."""
    devices: Annotated[list[ForOne], Field(min_length=1, max_length=MOST)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "NewBatch":
        if (self.count is None) == (self.devices is None):
            raise ValueError("name either count or devices, and not both")
        ids = [one.device_id for one in self.devices or [] if one.device_id is not None]
        twice = next((one for one in ids if ids.count(one) > 1), None) if len(set(ids)) < len(ids) else None
        if twice is not None:
            raise ValueError(f"devices: {twice!r} is there twice: one code a device")
        return self


class ReplacementBody(BaseModel):
    """Optional body of a replacement."""

    model_config = ConfigDict(extra="forbid", strict=True)
    hours: Hours = 24.0
    """How long the code is good for."""


@router.post("/v1/enrol-batches", status_code=201, responses=refuses(409))
async def create(request: Request, caller: Operator, new: NewBatch) -> NewEnrolBatch:
    """Codes, told in this answer and never again; `labels` makes others for those that were not used."""
    cloud, mine = cloud_of(request), caller.organisation_id
    whom = new.devices or [ForOne()] * (new.count or 0)
    now = cloud.now()
    expires_at = now + timedelta(hours=new.hours)
    async with cloud.database.writing() as connection:
        await _check_ids(connection, caller, whom)
        group_id = None
        if new.group is not None:
            (group_id,) = await group_ids_of(connection, mine, [new.group]) or (None,)
        batch_id = await enrol_batches.create(connection, mine, new.title, group_id, caller.name, now, expires_at)
        made: list[NewCode] = []
        for number, one in enumerate(whom, start=1):
            code, name = credentials.enrol_code(), one.name or None
            await access.add_enrol_code(
                connection,
                mine,
                credentials.digest(credentials.tidy_code(code)),
                device_id=one.device_id,
                replace=False,
                now=now,
                expires_at=expires_at,
                batch_id=batch_id,
                number=number,
                name=name,
            )
            made.append({"number": number, "code": code, "device_id": one.device_id, "name": name})
    return {"batch_id": batch_id, "expires_at": time(expires_at), "codes": made}


async def _check_ids(connection: AsyncConnection, caller: Caller, whom: list[ForOne]) -> None:
    keys = [caller.key(one.device_id) for one in whom if one.device_id is not None]
    for device in (await devices.of_keys(connection, keys)).values():
        if device.token_seen_at is not None:
            raise Refusal(
                409,
                f"Device {device.device_id} is enrolled already: a new computer in its place gets its code of "
                f"POST /v1/devices/{device.device_id}/replacement",
                "exists",
            )


@router.get("/v1/enrol-batches")
async def listing(
    request: Request,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> EnrolBatches:
    """Batches, newest first; `next_before` continues, null at the end. They are kept for 90 days after they expired."""
    cloud, mine = cloud_of(request), caller.organisation_id
    async with cloud.database.reading() as connection:
        batches = await enrol_batches.page(connection, mine, before, limit)
        found = await enrol_batches.codes(connection, mine, [one.batch_id for one in batches])
    now = cloud.now()
    return {
        "batches": [_row(one, [code for code in found if code.batch_id == one.batch_id], now) for one in batches],
        "next_before": batches[-1].batch_id if len(batches) == limit else None,
    }


@router.get("/v1/enrol-batches/{batch_id}")
async def one(request: Request, caller: Viewer, batch_id: Number) -> EnrolBatch:
    """A batch, and of each code how far its device is: code used, connected, first picture."""
    cloud = cloud_of(request)
    async with cloud.database.reading() as connection:
        batch, codes = await _found(connection, caller, batch_id)
    now = cloud.now()
    shown: list[EnrolCodeRow] = [
        {
            "number": code.number,
            "state": code.state(now),
            "device_id": code.device_id,
            "name": code.name,
            "used_at": time_or_none(code.used_at),
        }
        for code in codes
    ]
    return {**_row(batch, codes, now), "codes": shown}


@router.post(
    "/v1/enrol-batches/{batch_id}/labels",
    response_class=HTMLResponse,
    responses={200: {"description": "A page to print", "content": {"text/html": {}}}, **refuses(409)},
)
async def labels(request: Request, caller: Operator, batch_id: Number) -> HTMLResponse:
    """A sheet of labels to print, with a QR code each. Its codes are new ones; those told before are worthless.

    Codes that were used, revoked or have expired are not on it.
    """
    cloud, mine = cloud_of(request), caller.organisation_id
    now, printed = cloud.now(), []
    async with cloud.database.writing() as connection:
        batch, codes = await _found(connection, caller, batch_id)
        for code in codes:
            fresh = credentials.enrol_code()
            if code.state(now) == "unused" and await enrol_batches.renew(
                connection, mine, batch_id, code.number, credentials.digest(credentials.tidy_code(fresh))
            ):
                printed.append(enrol_labels.Label(code.number, fresh, code.device_id, code.name))
    if not printed:
        raise Refusal(409, "No code of this batch is unused: make a new batch", "nothing_left")
    html = enrol_labels.sheet(batch.title, batch.group, batch.expires_at, cloud.settings.public_url, printed)
    return HTMLResponse(html, headers={"Content-Security-Policy": enrol_labels.POLICY, "Cache-Control": "no-store"})


@router.delete("/v1/enrol-batches/{batch_id}", status_code=204)
async def revoke_all(request: Request, caller: Operator, batch_id: Number) -> None:
    """All its codes that were not used are worthless. Devices that used one are not touched."""
    cloud = cloud_of(request)
    async with cloud.database.writing() as connection:
        await _found(connection, caller, batch_id)
        await enrol_batches.revoke(connection, caller.organisation_id, batch_id, cloud.now())


@router.delete("/v1/enrol-batches/{batch_id}/codes/{number}", status_code=204)
async def revoke(
    request: Request, caller: Operator, batch_id: Number, number: Annotated[int, Path(ge=1, le=MOST)]
) -> None:
    """One code, if it was not used, is worthless."""
    cloud = cloud_of(request)
    async with cloud.database.writing() as connection:
        _, codes = await _found(connection, caller, batch_id)
        if all(code.number != number for code in codes):
            raise Refusal(404, f"Batch {batch_id} has no code {number}", "unknown_code")
        await enrol_batches.revoke(connection, caller.organisation_id, batch_id, cloud.now(), number)


@router.post("/v1/devices/{device_id}/replacement", status_code=201)
async def replacement(
    request: Request, caller: Operator, device_id: str, body: ReplacementBody | None = None
) -> Replacement:
    """A code with which another computer becomes this device; the old one's token is worthless once it is used.

    Name, groups, tags, settings, schedule and pictures stay.
    """
    cloud = cloud_of(request)
    code, now = credentials.enrol_code(), cloud.now()
    expires_at = now + timedelta(hours=(body or ReplacementBody()).hours)
    async with cloud.database.writing() as connection:
        if await devices.find(connection, caller.key(device_id)) is None:
            raise unknown_device(device_id)
        await access.add_enrol_code(
            connection,
            caller.organisation_id,
            credentials.digest(credentials.tidy_code(code)),
            device_id=device_id,
            replace=True,
            now=now,
            expires_at=expires_at,
        )
    return {"device_id": device_id, "code": code, "expires_at": time(expires_at)}


async def _found(connection: AsyncConnection, caller: Caller, batch_id: int) -> tuple[Batch, list[Code]]:
    batches = await enrol_batches.page(connection, caller.organisation_id, only=batch_id)
    if not batches:
        raise Refusal(404, f"There is no batch {batch_id}: GET /v1/enrol-batches lists them", "unknown_batch")
    return batches[0], await enrol_batches.codes(connection, caller.organisation_id, [batch_id])


def _row(batch: Batch, codes: list[Code], now: datetime) -> EnrolBatchRow:
    counts = enrol_batches.counted(codes, now)
    return {
        "batch_id": batch.batch_id,
        "title": batch.title,
        "group": batch.group,
        "created_by": batch.created_by,
        "created_at": time(batch.created_at),
        "expires_at": time(batch.expires_at),
        "total": len(codes),
        "states": {str(state): count for state, count in counts.items()},
    }
