"""Bulk: one request about many devices, answered by a job; and every job, what became of it, and its end."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Operator, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.database.json_values import to_json
from visant_cloud.fleet import selection
from visant_cloud.fleet.groups import ids_of as group_ids_of
from visant_cloud.fleet.selection import Selection
from visant_cloud.jobs import adding
from visant_cloud.jobs.bulk import Action, Groups, Settings
from visant_cloud.jobs.registry import KINDS
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.routes.devices import MAX_CONFIG_BYTES
from visant_cloud.store import device_search, jobs
from visant_cloud.store.jobs import NewJob
from visant_cloud.store.keys import device_id_of, device_key
from visant_cloud.store.scope import Scope
from visant_cloud.views import jobs_json
from visant_cloud.views.fleet_answers import JobItems, JobPage, JobRow, Preview

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
_SAMPLE = 100
Number = Annotated[int, Path(ge=1, lt=2**63)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=512)]


class Bulk(BaseModel):
    """Body of `POST /v1/bulk`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    selection: Selection
    action: Action
    rate: Annotated[float, Field(ge=0.01, le=1000, allow_inf_nan=False)] | None = None
    """Devices a second, at most; null: as fast as it goes."""


class Previewed(BaseModel):
    """Body of `POST /v1/bulk/preview`: that of `POST /v1/bulk`, or its selection alone."""

    model_config = ConfigDict(extra="forbid", strict=True)
    selection: Selection
    action: Action | None = None
    rate: Annotated[float, Field(ge=0.01, le=1000, allow_inf_nan=False)] | None = None


@router.post("/v1/bulk/preview")
async def preview(request: Request, caller: Operator, wanted: Previewed) -> Preview:
    """What a selection means at this moment; nothing is changed."""
    cloud, mine = cloud_of(request), caller.organisation_id
    async with cloud.database.reading() as connection:
        chosen = await selection.resolve(connection, cloud, mine, wanted.selection)
        streams = selection.streams_of(cloud, mine)
        states = await device_search.states_of(connection, Scope(mine), chosen.device_keys, streams)
    return {
        "total": len(chosen.device_keys),
        "states": states,
        "devices": [device_id_of(key) for key in chosen.device_keys[:_SAMPLE]],
        "unknown": chosen.unknown[:_SAMPLE],
        "unknown_count": len(chosen.unknown),
    }


@router.post("/v1/bulk", status_code=202, responses=refuses(409))
async def bulk(request: Request, caller: Operator, wanted: Bulk, idempotency_key: IdempotencyKey = None) -> JobRow:
    """Does the same to all devices that the selection means now; the answer is a job, which tells what became of each.

    The same Idempotency-Key with the same body gives the same job, however often it is sent; with another body it is
    refused. An id that nobody has is a device of the job that fails.
    """
    cloud, mine = cloud_of(request), caller.organisation_id
    given = wanted.action.model_dump(mode="json")
    if isinstance(wanted.action, Settings) and len(to_json(given["config"])) > MAX_CONFIG_BYTES:
        raise Refusal(413, f"action.config: it has more than {MAX_CONFIG_BYTES} bytes", "too_large")
    new = NewJob(
        mine,
        wanted.action.do,
        given,
        caller.name,
        rate=wanted.rate,
        idempotency_key=idempotency_key,
        request_hash=hashlib.sha256(to_json(wanted.model_dump(mode="json")).encode()).hexdigest(),
    )
    async with cloud.database.writing() as connection:
        made = await adding.repeated(connection, new)
        if made is None:
            await adding.check_room(connection, mine)
            if isinstance(wanted.action, Groups):
                await group_ids_of(connection, mine, [*wanted.action.add, *wanted.action.remove])
            chosen = await selection.resolve(connection, cloud, mine, wanted.selection)
            if not chosen.device_keys and not chosen.unknown:
                raise Refusal(422, "selection.filter: no device fits: try it in POST /v1/bulk/preview", "empty")
            unknown = [device_key(mine, device_id) for device_id in chosen.unknown]
            subjects = sorted([*chosen.device_keys, *unknown])
            made = await jobs.add(connection, new, cloud.now(), subjects=subjects)
            made = made or await adding.repeated(connection, new)  # two requests with one key at once
            assert made is not None
    return jobs_json.job(made)


@router.get("/v1/jobs")
async def listing(
    request: Request,
    caller: Viewer,
    only_open: Annotated[bool, Query(alias="open")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> JobPage:
    """Jobs, newest first; `next_before` continues, null at the end. `open`: those alone that have not ended.

    They are kept for 30 days after their end.
    """
    async with cloud_of(request).database.reading() as connection:
        rows = await jobs.page(connection, caller.organisation_id, before, limit, only_open=only_open)
    return {
        "jobs": [jobs_json.job(row) for row in rows],
        "next_before": rows[-1].job_id if len(rows) == limit else None,
    }


@router.get("/v1/jobs/{job_id}")
async def one(request: Request, caller: Viewer, job_id: Number) -> JobRow:
    """One job: how far it is."""
    async with cloud_of(request).database.reading() as connection:
        row = await jobs.find(connection, caller.organisation_id, job_id)
    if row is None:
        raise _unknown(job_id)
    return jobs_json.job(row)


@router.get("/v1/jobs/{job_id}/items")
async def items(
    request: Request,
    caller: Viewer,
    job_id: Number,
    failed: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> JobItems:
    """What became of each device; `next_after` continues, null at the end. `failed`: of those alone that failed."""
    async with cloud_of(request).database.reading() as connection:
        if await jobs.find(connection, caller.organisation_id, job_id) is None:
            raise _unknown(job_id)
        rows = await jobs.items(connection, job_id, after, limit, failed=failed)
    return {
        "job_id": job_id,
        "items": [jobs_json.item(row) for row in rows],
        "next_after": rows[-1].number if len(rows) == limit else None,
    }


@router.post("/v1/jobs/{job_id}/cancel", responses=refuses(409))
async def cancel(request: Request, caller: Operator, job_id: Number) -> JobRow:
    """It goes no further; what was done stays. Cancelled again, it answers the same."""
    cloud = cloud_of(request)
    async with cloud.database.writing() as connection:
        row = await jobs.find(connection, caller.organisation_id, job_id)
        if row is None:
            raise _unknown(job_id)
        kind = KINDS.get(row.kind)
        if row.ended_at is None and kind is not None and not kind.can_be_cancelled:
            raise Refusal(
                409, f"A job of the kind {row.kind!r} cannot be cancelled: it goes on to its end", "not_possible"
            )
        said = f"cancelled by {caller.name}"
        if not await jobs.end(connection, job_id, "cancelled", said, cloud.now()) and row.status != "cancelled":
            row = await jobs.find(connection, caller.organisation_id, job_id) or row
            if row.status != "cancelled":
                raise Refusal(409, f"Job {job_id} has ended already: {row.status}", "ended")
    return await one(request, caller, job_id)


def _unknown(job_id: int) -> Refusal:
    return Refusal(404, f"There is no job {job_id}: GET /v1/jobs lists them", "unknown_job")
