"""Groups of devices, and the tags that some have."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict

from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Operator, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.fleet.names import Name
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import devices, labels
from visant_cloud.store.labels import Group
from visant_cloud.times import time
from visant_cloud.views import etags
from visant_cloud.views.etags import IfMatch
from visant_cloud.views.fleet_answers import GroupRow, Groups, Tags

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


class GroupBody(BaseModel):
    """Body of `POST /v1/groups` and `PATCH /v1/groups/{group_id}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name


@router.get("/v1/groups")
async def groups(request: Request, caller: Viewer) -> Groups:
    """All, by name."""
    async with cloud_of(request).database.reading() as connection:
        return {"groups": [_shown(one) for one in await labels.groups(connection, caller.organisation_id)]}


@router.post("/v1/groups", status_code=201, responses=refuses(409))
async def create(request: Request, response: Response, caller: Operator, new: GroupBody) -> GroupRow:
    """A new one, without devices."""
    cloud = cloud_of(request)
    async with cloud.database.writing() as connection:
        if len(await labels.group_ids(connection, caller.organisation_id)) >= labels.MAX_GROUPS:
            raise Refusal(409, f"There are {labels.MAX_GROUPS} groups already: delete one, or use tags", "too_many")
        made = await labels.create_group(connection, caller.organisation_id, new.name, cloud.now())
    if made is None:
        raise _taken(new.name)
    response.headers["ETag"] = _etag(made)
    return _shown(made)


@router.get("/v1/groups/{group_id}")
async def one(request: Request, response: Response, caller: Viewer, group_id: Number) -> GroupRow:
    """One group. The ETag is of its name."""
    async with cloud_of(request).database.reading() as connection:
        found = await labels.group(connection, caller.organisation_id, group_id)
    if found is None:
        raise _unknown(group_id)
    response.headers["ETag"] = _etag(found)
    return _shown(found)


@router.patch("/v1/groups/{group_id}", responses=refuses(409, 412, 428))
async def rename(
    request: Request,
    response: Response,
    caller: Operator,
    group_id: Number,
    wanted: GroupBody,
    if_match: IfMatch = None,
) -> GroupRow:
    """Another name; filters that say the old one are refused from now on."""
    async with cloud_of(request).database.writing() as connection:
        found = await labels.group(connection, caller.organisation_id, group_id, hold=True)
        if found is None:
            raise _unknown(group_id)
        etags.check(if_match, _etag(found), needed=True)
        if not await labels.rename_group(connection, group_id, wanted.name):
            raise _taken(wanted.name)
    return await one(request, response, caller, group_id)


@router.delete("/v1/groups/{group_id}", status_code=204)
async def delete(request: Request, caller: Operator, group_id: Number) -> None:
    """Its devices stay."""
    async with cloud_of(request).database.writing() as connection:
        if not await labels.delete_group(connection, caller.organisation_id, group_id):
            raise _unknown(group_id)


@router.put("/v1/groups/{group_id}/devices/{device_id}", status_code=204)
async def add(request: Request, caller: Operator, group_id: Number, device_id: str) -> None:
    """The device is in the group."""
    await _change(request, caller, group_id, device_id, joins=True)


@router.delete("/v1/groups/{group_id}/devices/{device_id}", status_code=204)
async def remove(request: Request, caller: Operator, group_id: Number, device_id: str) -> None:
    """The device is not in the group."""
    await _change(request, caller, group_id, device_id, joins=False)


async def _change(request: Request, caller: Operator, group_id: int, device_id: str, *, joins: bool) -> None:
    key = caller.key(device_id)
    async with cloud_of(request).database.writing() as connection:
        if await labels.group(connection, caller.organisation_id, group_id, hold=True) is None:
            raise _unknown(group_id)
        if await devices.held(connection, key) is None:
            raise unknown_device(device_id)
        if joins:
            await labels.join(connection, [group_id], [key])
        else:
            await labels.leave(connection, [key], [group_id])


@router.get("/v1/tags")
async def tags(request: Request, caller: Viewer) -> Tags:
    """All that some device has, by name."""
    async with cloud_of(request).database.reading() as connection:
        found = await labels.tags(connection, caller.organisation_id)
    return {"tags": [{"tag": tag, "devices": count} for tag, count in found.items()]}


def _shown(one: Group) -> GroupRow:
    return {"group_id": one.group_id, "name": one.name, "created_at": time(one.created_at), "devices": one.devices}


def _etag(one: Group) -> str:
    return etags.of({"name": one.name})


def _taken(name: str) -> Refusal:
    return Refusal(409, f"There is a group {name!r} already: choose another name", "exists")


def _unknown(group_id: int) -> Refusal:
    return Refusal(404, f"There is no group {group_id}: GET /v1/groups lists them", "unknown_group")
