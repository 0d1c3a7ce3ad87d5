"""Alerts: what is wrong, who has seen it, and when nobody is to be told."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from visant_cloud.access import audit, callers
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Admin, Operator, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.alerts.kinds import KINDS
from visant_cloud.alerts.rules import KindName, Rules, only_text
from visant_cloud.context import cloud_of
from visant_cloud.events import types
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import alert_rules, alerts, devices, events
from visant_cloud.store.scope import Scope
from visant_cloud.views import alerts_json, answers
from visant_contract.ids import DeviceId

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
_MAX_SILENCES = 200
_LONGEST = timedelta(days=366)
Number = Annotated[int, Path(ge=1, lt=2**63)]
"""Of a row, in a path."""


class Acknowledgement(BaseModel):
    """Body of an acknowledgement."""

    model_config = ConfigDict(extra="forbid", strict=True)
    note: Annotated[str, Field(max_length=1000)] | None = None


class NewSilence(BaseModel):
    """Body of `POST /v1/silences`. What is named must match; naming nothing silences all."""

    model_config = ConfigDict(extra="forbid", strict=True)
    device_id: DeviceId | None = None
    site: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    kind: KindName | None = None
    until: Annotated[AwareDatetime, BeforeValidator(only_text), Field(strict=False)]
    note: Annotated[str, Field(max_length=1000)] | None = None


@router.get("/v1/alerts", responses=refuses(404))
async def listing(
    request: Request,
    caller: Viewer,
    state: Literal["open", "cleared", "all"] = "open",
    device_id: str | None = None,
    site: str | None = None,
    kind: KindName | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> answers.AlertPage:
    """Alerts, newest first; `next_before` continues, null at the end."""
    async with cloud_of(request).database.reading() as connection:
        rows = await alerts.page(
            connection,
            caller.scope,
            which=state,
            device_key=None if device_id is None else caller.key(device_id),
            site=site,
            kind=kind,
            before=before,
            limit=limit,
        )
    return {
        "alerts": [alerts_json.alert(row) for row in rows],
        "next_before": rows[-1].alert_id if len(rows) == limit else None,
    }


@router.get("/v1/alerts/kinds")
async def kinds(caller: Viewer) -> answers.AlertKinds:
    """Every kind: its words, its remedy, and for how many seconds it must last before an alert opens."""
    return {
        "kinds": [
            {"kind": name, "title": kind.title, "remedy": kind.remedy, "hold": kind.hold, "clear": kind.clear}
            for name, kind in KINDS.items()
            if kind.alerts
        ]
    }


@router.get("/v1/alerts/rules")
async def rules(request: Request, caller: Viewer) -> Rules:
    """What the organisation chose: kinds that are off, limits, quiet hours, the daily summary."""
    async with cloud_of(request).database.reading() as connection:
        return await alert_rules.find(connection, caller.scope.organisation_id)


@router.put("/v1/alerts/rules")
async def set_rules(request: Request, caller: Admin, chosen: Rules) -> Rules:
    """All of it anew; what is left out is the default. It counts within half a minute."""
    async with cloud_of(request).database.writing() as connection:
        before = await alert_rules.find(connection, caller.organisation_id)
        await alert_rules.put(connection, caller.organisation_id, chosen)
        audit.changed(request, before=before.model_dump(mode="json"), after=chosen.model_dump(mode="json"))
    return chosen


@router.get("/v1/alerts/{alert_id}")
async def one(request: Request, caller: Viewer, alert_id: Number) -> answers.AlertRow:
    """One alert."""
    async with cloud_of(request).database.reading() as connection:
        row = await alerts.find(connection, caller.scope, alert_id)
    if row is None:
        raise _unknown("alert", alert_id)
    return alerts_json.alert(row)


@router.post("/v1/alerts/{alert_id}/acknowledge")
async def acknowledge(
    request: Request, caller: Operator, alert_id: Number, body: Acknowledgement | None = None
) -> answers.AlertRow:
    """Somebody has seen it and cares. It stays open until its cause is gone."""
    cloud = cloud_of(request)
    note = None if body is None else body.note
    async with cloud.database.writing() as connection:
        row = await alerts.acknowledge(connection, caller.scope, alert_id, caller.name, note, cloud.now())
        if row is not None:
            await events.note(connection, types.alert(types.ALERT_ACKNOWLEDGED, row, cloud.now()))
    if row is None:
        raise _unknown("alert", alert_id)
    return alerts_json.alert(row)


@router.get("/v1/silences")
async def silences(request: Request, caller: Viewer) -> answers.Silences:
    """Those that last."""
    cloud = cloud_of(request)
    async with cloud.database.reading() as connection:
        rows = await alerts.silences_of(connection, cloud.now(), caller.scope)
    return {"silences": [alerts_json.silence(row) for row in rows]}


@router.post("/v1/silences", status_code=201, responses=refuses(404, 409))
async def silence(request: Request, caller: Operator, new: NewSilence) -> answers.SilenceRow:
    """Nobody is told of what matches, until then; alerts open and clear all the same. What is open then is told."""
    cloud = cloud_of(request)
    if new.device_id is None:
        now, key, mine = cloud.now(), None, caller.organisation_id
    else:
        caller = await callers.reaching(request, caller, new.device_id)
        now, key, mine = cloud.now(), caller.key(new.device_id), caller.scope.organisation_id
    if not now < new.until <= now + _LONGEST:
        raise Refusal(
            422, f"until: a time after now and within {_LONGEST.days} days, not {_said(new.until)}", "invalid"
        )
    async with cloud.database.writing() as connection:
        if key is not None and await devices.find(connection, key) is None:
            raise unknown_device(str(new.device_id))
        if len(await alerts.silences_of(connection, now, Scope(mine))) >= _MAX_SILENCES:
            raise Refusal(409, f"There are {_MAX_SILENCES} silences already: end one first", "too_many")
        row = await alerts.add_silence(
            connection,
            {
                "organisation_id": mine,
                "device_key": key,
                "site": new.site,
                "kind": new.kind,
                "until": new.until,
                "note": new.note,
                "created_by": caller.name,
                "created_at": now,
            },
        )
        audit.changed(request, what=f"silence {row.silence_id}", after=alerts_json.silence(row))
    return alerts_json.silence(row)


@router.delete("/v1/silences/{silence_id}", status_code=204)
async def end_silence(request: Request, caller: Operator, silence_id: Number) -> None:
    """It is over now."""
    async with cloud_of(request).database.writing() as connection:
        if not await alerts.end_silence(connection, caller.scope, silence_id):
            raise _unknown("silence", silence_id)


def _unknown(what: str, number: int) -> Refusal:
    return Refusal(404, f"There is no {what} {number}", f"unknown_{what}")


def _said(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
