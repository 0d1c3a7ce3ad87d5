"""People of an organisation: who they are and what they may do; invites by link."""

from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.access import audit, credentials
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Admin
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.access.roles import Role
from visant_cloud.context import cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.routes.devices import ONE_LINE
from visant_cloud.store import people, scope
from visant_cloud.store.access import ID_LENGTH
from visant_cloud.store.people import LastAdmin, Person
from visant_cloud.views import people_answers

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
_MAX_INVITES = 200

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=ONE_LINE)]
Groups = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100)]
HexId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
"""Of a person, an invite, a session or a token, in a path."""


class NewInvite(BaseModel):
    """Body of `POST /v1/invites`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name
    """What the person will sign in with."""
    role: Role
    groups: Groups | None = None
    """Only devices of these groups; null: all."""
    hours: Annotated[float, Field(ge=0.1, le=24 * 30)] = 72
    """How long the link is good for."""


class PersonChange(BaseModel):
    """Body of `PATCH /v1/people/{person_id}`; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)
    role: Role | None = None
    groups: Groups | None = None
    all_groups: Literal[True] | None = None
    """All devices again."""


@router.get("/v1/people")
async def listing(request: Request, caller: Admin) -> people_answers.People:
    """Who may act for the organisation, and as what."""
    async with cloud_of(request).database.reading() as connection:
        names = await scope.group_names(connection, caller.organisation_id)
        rows = await people.everyone(connection, caller.organisation_id)
    return {"people": [people_answers.person(row, names) for row in rows]}


@router.get("/v1/people/{person_id}")
async def one(request: Request, caller: Admin, person_id: HexId) -> people_answers.PersonRow:
    """One of them."""
    async with cloud_of(request).database.reading() as connection:
        names = await scope.group_names(connection, caller.organisation_id)
        return people_answers.person(await _find(connection, caller.organisation_id, person_id), names)


@router.patch("/v1/people/{person_id}", responses=refuses(409))
async def change(request: Request, caller: Admin, person_id: HexId, wanted: PersonChange) -> people_answers.PersonRow:
    """Another role, or other groups; it counts from the next request on. The last admin stays one."""
    mine = caller.organisation_id
    async with cloud_of(request).database.writing() as connection:
        found = await _find(connection, mine, person_id)
        names = await scope.group_names(connection, mine)
        before = people_answers.person(found, names)
        role = wanted.role or found.role
        group_ids = None if wanted.all_groups else found.group_ids
        if wanted.groups is not None:
            group_ids = ids_of(wanted.groups, names)
        only_whole(role, group_ids)
        try:
            await people.set_role(connection, mine, found, role, group_ids)
        except LastAdmin:
            raise _last_admin(found.name) from None
        now = people_answers.person(await _find(connection, mine, person_id), names)
        audit.changed(request, before=dict(before), after=dict(now))
    return now


@router.delete("/v1/people/{person_id}", status_code=204, responses=refuses(409))
async def remove(request: Request, caller: Admin, person_id: HexId) -> None:
    """The person may not act for the organisation any more; one of its own is gone altogether, with its sessions."""
    mine = caller.organisation_id
    async with cloud_of(request).database.writing() as connection:
        found = await _find(connection, mine, person_id)
        try:
            await people.remove(connection, found, mine)
        except LastAdmin:
            raise _last_admin(found.name) from None
        audit.changed(request, before=dict(people_answers.person(found, await scope.group_names(connection, mine))))


@router.get("/v1/invites")
async def invites(request: Request, caller: Admin) -> people_answers.Invites:
    """Those that wait to be accepted."""
    cloud = cloud_of(request)
    async with cloud.database.reading() as connection:
        names = await scope.group_names(connection, caller.organisation_id)
        rows = await people.invites_of(connection, caller.organisation_id, cloud.now())
    return {"invites": [people_answers.invite(row, names) for row in rows]}


@router.post("/v1/invites", status_code=201, responses=refuses(409))
async def invite(request: Request, caller: Admin, new: NewInvite) -> people_answers.NewInviteRow:
    """A link under which the person chooses a password, once. It is shown in this answer and never again."""
    cloud, mine, code = cloud_of(request), caller.organisation_id, credentials.invite_code()
    invite_hash, now = credentials.digest(code), cloud.now()
    async with cloud.database.writing() as connection:
        names = await scope.group_names(connection, mine)
        group_ids = None if new.groups is None else ids_of(new.groups, names)
        only_whole(new.role, group_ids)
        if await people.operator(connection, new.name) is not None:
            raise Refusal(409, f"Somebody signs in as {new.name!r} already: choose another name", "exists")
        if len(await people.invites_of(connection, mine, now)) >= _MAX_INVITES:
            raise Refusal(409, f"There are {_MAX_INVITES} invites already: take one back first", "too_many")
        values = {
            "organisation_id": mine,
            "name": new.name,
            "role": new.role,
            "group_ids": group_ids,
            "created_by": caller.name,
            "created_at": now,
            "expires_at": now + timedelta(hours=new.hours),
        }
        await people.invite(connection, invite_hash, values)
        found = await people.found_invite(connection, invite_hash, now)
        assert found is not None
        row = people_answers.invite(found, names)
        audit.changed(request, what=f"invite {invite_hash[:ID_LENGTH]}", after=dict(row))
    here = cloud.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return {**row, "link": f"{here}/invite?{urlencode({'code': code})}"}


@router.delete("/v1/invites/{invite_id}", status_code=204)
async def take_back(request: Request, caller: Admin, invite_id: HexId) -> None:
    """The link is worth nothing any more."""
    async with cloud_of(request).database.writing() as connection:
        if not await people.take_back_invite(connection, caller.organisation_id, invite_id):
            raise Refusal(404, f"There is no invite {invite_id} that waits", "unknown_invite")


def ids_of(groups: list[str], names: people_answers.Names) -> list[int]:
    """The ids of groups. Raises Refusal: 422 for one that there is not."""
    ids = {name: group_id for group_id, name in names.items()}
    for group in groups:
        if group not in ids:
            raise Refusal(422, f"groups: there is no group {group!r}: create it first", "invalid")
    return sorted({ids[group] for group in groups})


def only_whole(role: str, group_ids: list[int] | None) -> None:
    """Raises Refusal: 422 for an admin of some groups, who could let himself into the others."""
    if role == "admin" and group_ids is not None:
        raise Refusal(
            422, "groups: an admin is for the whole organisation; leave them out, or set all_groups", "invalid"
        )


async def _find(connection: AsyncConnection, organisation_id: str, person_id: str) -> Person:
    found = await people.person(connection, organisation_id, person_id)
    if found is None:
        raise Refusal(404, f"There is no person {person_id} here", "unknown_person")
    return found


def _last_admin(name: str) -> Refusal:
    return Refusal(409, f"{name} is the last admin: make somebody else one first", "last_admin")
