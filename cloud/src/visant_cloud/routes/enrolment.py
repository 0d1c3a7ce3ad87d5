"""`POST /v1/enrol`: a device exchanges a one-time code for its own token."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from visant_cloud.access import authenticate, credentials
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.enrolment import enrol
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.store import access
from visant_cloud.store.keys import device_id_of
from visant_cloud.views.answers import DeviceToken
from visant_contract.ids import DeviceId

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(authenticate.stranger), Depends(clean_json)])


class EnrolRequest(BaseModel):
    """What the device sends."""

    code: Annotated[str, Field(min_length=1, max_length=100)]
    device_id: DeviceId | None = None
    """Needed where the code names no device."""
    replace: bool = False
    """Take over an id whose device died; only with a code made for this id or with `--replace`."""


@router.post(
    "/v1/enrol",
    tags=["device"],
    status_code=201,
    responses=refuses(403, 409, 429),
    openapi_extra={"security": []},  # the code is all that is asked for
)
async def exchange(request: Request, wanted: EnrolRequest) -> DeviceToken:
    """The device's id and token. The code is spent with it."""
    cloud, address = cloud_of(request), authenticate.address_of(request)
    wait = cloud.enrolment_limits.wait(address)
    code_hash = credentials.digest(credentials.tidy_code(wanted.code))
    if wait is not None and not await access.may_enrol(cloud.database, code_hash, cloud.now()):
        raise Refusal(429, f"Too many wrong codes from this address: wait {wait} s", "rate", retry_after=wait)
    try:
        async with cloud.database.writing() as connection:
            key, token = await enrol(connection, wanted.code, wanted.device_id, wanted.replace, cloud.now())
    except Refusal:
        cloud.enrolment_limits.acquire(address)
        raise
    cloud.hub.disconnect(key)
    return {"device_id": device_id_of(key), "token": token}
