"""Who calls: role, password, sessions."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from visant_cloud.access import audit, authenticate, credentials
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Anyone
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.routes.people import HexId
from visant_cloud.store import access, people, scope
from visant_cloud.store.access import ID_LENGTH
from visant_cloud.views import people_answers

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])


class NewPassword(BaseModel):
    """Body of `PUT /v1/me/password`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    current: Annotated[str, Field(max_length=1000)]
    new: Annotated[str, Field(min_length=credentials.MIN_PASSWORD, max_length=1000)]


@router.get("/v1/me")
async def me(request: Request, caller: Anyone) -> people_answers.Me:
    """Name, organisation, role and groups of who asks."""
    async with cloud_of(request).database.reading() as connection:
        names = await scope.group_names(connection, caller.scope.organisation_id)
    return {
        "name": caller.name,
        "way": caller.way,
        "person_id": caller.operator_id,
        "organisation_id": caller.scope.organisation_id,
        "role": caller.role,
        "groups": people_answers.groups(caller.scope.group_ids, names),
    }


@router.put("/v1/me/password", status_code=204, responses=refuses(409, 429))
async def password(request: Request, caller: Anyone, wanted: NewPassword) -> None:
    """Another password for who is signed in. All other sessions of that person end."""
    cloud = cloud_of(request)
    if caller.operator_id is None:
        raise Refusal(409, f"{caller.name} is no person: it has no password", "no_person")

    async def kept() -> str | None:
        async with cloud.database.reading() as connection:
            found = await people.operator(connection, caller.name)
        return found and found[1]

    checks = cloud.password_checks
    if not await checks.check(caller.name, authenticate.address_of(request), kept, wanted.current):
        raise Refusal(403, "current: this is not your password", "wrong_password")
    hashed = await checks.hash(wanted.new)
    async with cloud.database.writing() as connection:
        await people.set_password(connection, caller.operator_id, hashed, but=caller.secret_hash)


@router.get("/v1/sessions")
async def sessions(request: Request, caller: Anyone, of: Literal["me", "everyone"] = "me") -> people_answers.Sessions:
    """The own sign-ins; for admins, those of everyone whom the organisation owns."""
    cloud = cloud_of(request)
    if of == "everyone" and caller.role != "admin":
        raise Refusal(403, f"{caller.name} is {caller.role} here, and this is for admin: ask one", "role")
    async with cloud.database.reading() as connection:
        if of == "everyone":
            rows = await access.sessions_of(connection, cloud.now(), organisation_id=caller.organisation_id)
        elif caller.operator_id is not None:
            rows = await access.sessions_of(connection, cloud.now(), operator_id=caller.operator_id)
        else:
            rows = []
    this = caller.secret_hash[:ID_LENGTH]
    return {"sessions": [people_answers.session(row, this) for row in rows]}


@router.delete("/v1/sessions/{session_id}", status_code=204)
async def end_session(request: Request, caller: Anyone, session_id: HexId) -> None:
    """Ends a sign-in: an own one, or for admins one of whom the organisation owns."""
    cloud = cloud_of(request)
    async with cloud.database.writing() as connection:
        mine: list[access.OpenSession] = []
        if caller.operator_id is not None:
            mine = await access.sessions_of(connection, cloud.now(), operator_id=caller.operator_id)
        if caller.role == "admin":
            mine += await access.sessions_of(connection, cloud.now(), organisation_id=caller.organisation_id)
        found = next((row for row in mine if row.session_id == session_id), None)
        if found is None:
            raise Refusal(404, f"There is no session {session_id} of yours", "unknown_session")
        await access.end_sessions(connection, found.operator_id, session_id=session_id)
        audit.changed(request, before={"name": found.name, "address": found.address})
