"""API tokens: what programs come by, with a role, groups and an end."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from visant_cloud.access import audit, credentials
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Admin
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.access.roles import Role
from visant_cloud.context import cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.routes.people import Groups, HexId, Name, ids_of, only_whole
from visant_cloud.store import access, scope
from visant_cloud.store.access import ID_LENGTH
from visant_cloud.views import people_answers

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])


class NewToken(BaseModel):
    """Body of `POST /v1/tokens`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name
    role: Role
    groups: Groups | None = None
    """Only devices of these groups; null: all."""
    days: Annotated[float, Field(gt=0, le=3660)] | None = None
    """How long it is good for; null: until it is revoked."""


@router.get("/v1/tokens")
async def listing(request: Request, caller: Admin) -> people_answers.Tokens:
    """All of the organisation, each with when it was last used."""
    cloud = cloud_of(request)
    now = cloud.now()
    async with cloud.database.reading() as connection:
        names = await scope.group_names(connection, caller.organisation_id)
        rows = await access.api_tokens_of(connection, caller.organisation_id)
    shown = [
        people_answers.token(row, names, expired=row.expires_at is not None and row.expires_at <= now) for row in rows
    ]
    return {"tokens": shown}


@router.post("/v1/tokens", status_code=201, responses=refuses(409))
async def create(request: Request, caller: Admin, new: NewToken) -> people_answers.NewTokenRow:
    """A new token. It is shown in this answer and never again."""
    cloud, mine, token = cloud_of(request), caller.organisation_id, credentials.api_token()
    secret_hash, now = credentials.digest(token), cloud.now()
    async with cloud.database.writing() as connection:
        names = await scope.group_names(connection, mine)
        group_ids = None if new.groups is None else ids_of(new.groups, names)
        only_whole(new.role, group_ids)
        made = await access.add_api_token(
            connection,
            mine,
            new.name,
            secret_hash,
            now,
            role=new.role,
            group_ids=group_ids,
            expires_at=None if new.days is None else now + timedelta(days=new.days),
            created_by=caller.name,
        )
        if not made:
            raise Refusal(409, f"There is a token {new.name!r} already: choose another name", "exists")
        rows = await access.api_tokens_of(connection, mine)
        found = next(row for row in rows if row.token_id == secret_hash[:ID_LENGTH])
        row = people_answers.token(found, names, expired=False)
        audit.changed(request, what=f"token {found.token_id}", after=dict(row))
    return {**row, "token": token}


@router.delete("/v1/tokens/{token_id}", status_code=204)
async def revoke(request: Request, caller: Admin, token_id: HexId) -> None:
    """It is worth nothing any more."""
    mine = caller.organisation_id
    async with cloud_of(request).database.writing() as connection:
        rows = await access.api_tokens_of(connection, mine)
        found = next((row for row in rows if row.token_id == token_id), None)
        if found is None:
            raise Refusal(404, f"There is no token {token_id}", "unknown_token")
        await access.remove_api_token(connection, mine, token_id=token_id)
        audit.changed(request, before={"name": found.name, "role": found.role})
