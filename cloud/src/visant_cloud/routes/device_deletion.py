"""`DELETE /v1/devices/{device_id}`: a device goes, with its pictures or without."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request

from visant_cloud.access.callers import Operator
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.jobs import adding, deletion
from visant_cloud.openapi import refuses
from visant_cloud.routes.jobs import IdempotencyKey
from visant_cloud.store.jobs import NewJob
from visant_cloud.views import jobs_json
from visant_cloud.views.fleet_answers import JobRow

router = APIRouter(route_class=GuardedRoute, tags=["operator"])


@router.delete("/v1/devices/{device_id}", status_code=202, responses=refuses(409))
async def delete(
    request: Request,
    caller: Operator,
    device_id: str,
    pictures: Annotated[bool, Query(description="whether its pictures and its ledger go as well, for good")],
    idempotency_key: IdempotencyKey = None,
) -> JobRow:
    """The device is gone at once: its token is worth nothing and its stream ends. A job removes what is left of it.

    Without its pictures they stay, with the ledger, for as long as retention has it; made again under the same id, the
    device has them. Backups that were made before hold all of it still.
    """
    cloud, key = cloud_of(request), caller.key(device_id)
    new = NewJob(
        caller.organisation_id,
        deletion.KIND,
        {"device_id": device_id, "device_key": key, "pictures": pictures},
        caller.name,
        idempotency_key=idempotency_key,
        request_hash=hashlib.sha256(f"delete {key} {pictures}".encode()).hexdigest(),
    )
    async with cloud.database.writing() as connection:
        made = await adding.repeated(connection, new)
        if made is None:
            await adding.check_room(connection, caller.organisation_id)
            made = await deletion.begin(connection, new, cloud.now())
            made = made or await adding.repeated(connection, new)
            assert made is not None
    cloud.hub.disconnect(key)
    return jobs_json.job(made)
