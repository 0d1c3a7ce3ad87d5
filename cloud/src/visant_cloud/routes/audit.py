"""The audit log: who changed what, who looked at which picture. For admins."""

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BeforeValidator

from visant_cloud.access.audit import looked_at
from visant_cloud.access.callers import Admin
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.store import audit
from visant_cloud.store.audit import Wanted
from visant_cloud.views import people_answers

router = APIRouter(route_class=GuardedRoute, tags=["operator"])
NDJSON = "application/x-ndjson"
_EXPORT: dict[int | str, dict[str, Any]] = {200: {"content": {NDJSON: {"schema": {"type": "string"}}}}}


def _written_out(value: object) -> object:
    if isinstance(value, str) and not re.match(r"\d{4}-", value):  # pydantic takes `0.5` for seconds since 1970
        raise ValueError("a time as 2026-11-30T07:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


def _wanted(
    who: Annotated[str | None, Query(max_length=200)] = None,
    action: Annotated[str | None, Query(max_length=200)] = None,
    object: Annotated[str | None, Query(max_length=600)] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Wanted:
    return Wanted(who, action, object, since, until, before)


Chosen = Annotated[Wanted, Depends(_wanted)]


@router.get("/v1/audit")
async def listing(
    request: Request, caller: Admin, wanted: Chosen, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> people_answers.AuditPage:
    """Records, newest first; `next_before` continues. Each filter that is given must match to the letter."""
    cloud = cloud_of(request)
    await cloud.later.flush()
    async with cloud.database.reading() as connection:
        rows = await audit.page(connection, caller.organisation_id, wanted, limit)
    return {
        "records": [people_answers.record(row) for row in rows],
        "next_before": rows[-1].audit_id if len(rows) == limit else None,
    }


@router.get("/v1/audit/export", response_class=StreamingResponse, responses=_EXPORT, dependencies=[Depends(looked_at)])
async def export(request: Request, caller: Admin, wanted: Chosen) -> StreamingResponse:
    """All that match, one JSON object a line, as long as it takes."""
    cloud, mine = cloud_of(request), caller.organisation_id
    await cloud.later.flush()

    async def lines() -> AsyncIterator[str]:
        async for rows in audit.pages(cloud.database, mine, wanted):
            yield "".join(json.dumps(people_answers.record(row)) + "\n" for row in rows)

    headers = {"Content-Disposition": 'attachment; filename="audit.ndjson"', "Cache-Control": "no-store"}
    return StreamingResponse(lines(), media_type=NDJSON, headers=headers)
