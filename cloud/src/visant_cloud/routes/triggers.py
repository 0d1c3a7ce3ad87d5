"""Triggers: fired by operators and programs, ended by the device."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from structlog.contextvars import bind_contextvars

from visant_cloud.access.authenticate import OutcomeDevice
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Anyone, Technician, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import captures, devices, trigger_creation, trigger_history, trigger_outcomes, triggers
from visant_cloud.times import time, time_or_none
from visant_cloud.views import answers, as_json
from visant_contract.capture import TriggerStatus
from visant_contract.ids import TriggerId
from visant_contract.outcome import OutcomeReport

log = structlog.get_logger()

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)])


class TriggerRequest(BaseModel):
    """Optional body of a trigger."""

    model_config = ConfigDict(strict=True)
    expires_in: Annotated[float, Field(gt=0, le=86400)] | None = None
    """Seconds that it waits for the device; default MANUAL_TTL."""


@router.post("/v1/devices/{device_id}/trigger", tags=["operator"], responses=refuses(409))
async def trigger(
    request: Request,
    caller: Technician,
    device_id: str,
    body: TriggerRequest | None = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=512)] = None,
) -> answers.Fired:
    """Take a picture now. The same Idempotency-Key gives the same trigger, however often it is sent."""
    cloud, key = cloud_of(request), caller.key(device_id)
    lifetime = (body and body.expires_in) or cloud.settings.manual_ttl
    row = await trigger_creation.create_at_once(cloud.database, key, cloud.now(), lifetime, idempotency_key)
    new = row is not None
    if row is None:  # why
        async with cloud.database.writing() as connection:
            device = await devices.find(connection, key)
            if device is None:
                raise unknown_device(device_id)
            if not device.active:
                raise Refusal(409, f"Device {device_id} is not active: set it active first", "not_active")
            row, new = await trigger_creation.create(
                connection, key, cloud.now(), lifetime, idempotency_key=idempotency_key
            )
    bind_contextvars(device=key, trigger_id=row.trigger_id)
    if new:
        log.info("trigger created", type=row.type)
        cloud.hub.nudge(key)  # after the commit: what the nudged stream reads is durable
    connected = cloud.hub.subscribers(key) > 0
    return {
        "trigger_id": row.trigger_id,
        "device_id": device_id,
        "status": ("sent" if connected else "queued") if row.status in triggers.OPEN else row.status,
        "connected": connected,
        "created_at": time(row.created_at),
        "expires_at": time_or_none(row.expires_at),
    }


@router.get("/v1/devices/{device_id}/triggers", tags=["operator"])
async def history(
    request: Request,
    caller: Viewer,
    device_id: str,
    limit: Annotated[int, Query(ge=1, le=5000)] = 100,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    status: TriggerStatus | None = None,
) -> answers.TriggerPage:
    """The ledger, newest first; `next_before` continues it, null at the end."""
    cloud, key = cloud_of(request), caller.key(device_id)
    async with cloud.database.reading() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
        rows = await trigger_history.page(connection, caller.scope, key, before=before, limit=limit, status=status)
        pictures = await captures.of_triggers(connection, key, [row.trigger_id for row in rows])
    return {
        "triggers": [as_json.trigger(row, pictures.get(row.trigger_id)) for row in rows],
        "next_before": rows[-1].seq if len(rows) == limit else None,
    }


@router.get("/v1/triggers/{device_id}/{trigger_id:path}", tags=["operator"])
async def one(request: Request, caller: Anyone, device_id: str, trigger_id: str) -> answers.TriggerRow:
    """One trigger of the ledger."""
    cloud, key = cloud_of(request), caller.key(device_id)
    async with cloud.database.reading() as connection:
        row = await triggers.find(connection, key, trigger_id)
        if row is None:
            raise Refusal(404, f"Device {device_id[:100]!r} has no trigger {trigger_id[:100]!r}", "unknown_trigger")
        picture = await captures.of_trigger(connection, key, trigger_id)
    return as_json.trigger(row, picture)


@router.post("/v1/devices/{device_id}/triggers/{trigger_id:path}/outcome", tags=["device"], responses=refuses(412, 429))
async def outcome(
    request: Request, device: OutcomeDevice, device_id: str, trigger_id: TriggerId, report: OutcomeReport
) -> answers.Ended:
    """The device says how a trigger ended without a picture. Saying it again changes nothing."""
    cloud: Cloud = cloud_of(request)
    if report.status != "executed" and report.reason is None:
        raise Refusal(422, f"reason: an outcome `{report.status}` needs one", "invalid")
    bind_contextvars(device=device.device_key, trigger_id=trigger_id)

    def unknown() -> None:
        wait = cloud.unasked_limits.acquire(device.device_key)
        if wait is not None:
            detail = f"This device reports too many triggers that nobody knows: come again in {wait} s"
            raise Refusal(429, detail, "rate", retry_after=wait)

    async with cloud.database.writing() as connection:
        row = await trigger_outcomes.reported(connection, device.device_key, trigger_id, report, cloud.now(), unknown)
    log.info("outcome reported", said=report.status, status=row.status, reason=row.reason)
    return {"device_id": device_id, "trigger_id": trigger_id, "status": row.status, "reason": row.reason}
