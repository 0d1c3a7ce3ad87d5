"""Shared schedules: made, previewed, changed, and attached to devices, groups and tags."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Caller, Operator, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.alerts.rules import only_text
from visant_cloud.commands.shared_rounds import LATE
from visant_cloud.context import cloud_of
from visant_cloud.fleet.names import Name, Tag
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.routes.alerts import Number
from visant_cloud.schedules.cadence import next_after, slots
from visant_cloud.schedules.rule import FIRST_YEAR, LAST_YEAR, Rule
from visant_cloud.store import devices, schedule_targets, shared_schedules
from visant_cloud.store.keys import device_id_of
from visant_cloud.store.shared_schedules import SharedSchedule
from visant_cloud.views import etags, schedules_json
from visant_cloud.views import schedule_answers as answers
from visant_cloud.views.etags import IfMatch
from visant_contract.ids import DeviceId

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
MAX_SCHEDULES = 1000
"""Of an organisation."""
MAX_ATTACHED = 1000
"""Devices, groups or tags in one request."""
_STRICT = ConfigDict(extra="forbid", strict=True)
_TICK = timedelta(microseconds=1)


def _near(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"a time of the years {FIRST_YEAR} to {LAST_YEAR}")
    return value


After = Annotated[AwareDatetime, BeforeValidator(only_text), Field(strict=False), AfterValidator(_near)]
Count = Annotated[int, Field(ge=1, le=100)]


class Targets(BaseModel):
    """What a schedule is attached to, or detached from: devices by id, groups by name, tags."""

    model_config = _STRICT
    devices: Annotated[list[DeviceId], Field(max_length=MAX_ATTACHED)] = Field(default_factory=list)
    groups: Annotated[list[Name], Field(max_length=MAX_ATTACHED)] = Field(default_factory=list)
    tags: Annotated[list[Tag], Field(max_length=MAX_ATTACHED)] = Field(default_factory=list)


class SharedScheduleChange(BaseModel):
    """Body of `PUT /v1/schedules/{schedule_id}`."""

    model_config = _STRICT
    name: Name
    rule: Rule
    active: bool = True
    """Off: it rests, and keeps what it is attached to."""


class NewSharedSchedule(SharedScheduleChange):
    """Body of `POST /v1/schedules`."""

    attached: Targets = Field(default_factory=Targets)


class Preview(BaseModel):
    """Body of `POST /v1/schedules/preview`."""

    model_config = _STRICT
    rule: Rule
    count: Count = 5
    after: After | None = None
    """null: now."""


@router.get("/v1/schedules")
async def listing(
    request: Request,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> answers.SharedSchedulePage:
    """Schedules that stand for themselves, newest first; a device's own interval is not among them."""
    async with cloud_of(request).database.reading() as connection:
        found = await shared_schedules.page(connection, caller.organisation_id, before, limit)
        counts = await schedule_targets.counts(connection, [one.schedule_id for one in found])
    return {
        "schedules": [schedules_json.row(one, counts.get(one.schedule_id, 0)) for one in found],
        "next_before": found[-1].schedule_id if len(found) == limit else None,
    }


@router.post("/v1/schedules", status_code=201, responses=refuses(404, 409))
async def create(
    request: Request, caller: Operator, new: NewSharedSchedule, response: Response
) -> answers.SharedScheduleDetail:
    """A new schedule, attached to what is named. Several of one device do not know of each other: each slot of each
    is a picture.
    """
    cloud = cloud_of(request)
    mine = caller.organisation_id
    next_at = await _first(new, cloud.now())
    async with cloud.database.writing() as connection:
        if await shared_schedules.count(connection, mine) >= MAX_SCHEDULES:
            raise Refusal(409, f"There are {MAX_SCHEDULES} schedules already: remove one first", "too_many")
        made = await shared_schedules.create(
            connection, mine, new.name, new.rule, active=new.active, next_at=next_at, now=cloud.now()
        )
        if made is None:
            raise _taken(new.name)
        await _attach(connection, caller, made, new.attached)
        return await _shown(connection, made, response)


@router.post("/v1/schedules/preview")
async def preview(request: Request, caller: Viewer, wanted: Preview) -> answers.Firings:
    """The next slots that a rule would give, in words; nothing is kept."""
    return await _next(wanted.rule, wanted.after or cloud_of(request).now(), wanted.count)


@router.get("/v1/schedules/{schedule_id:int}")
async def one(
    request: Request, caller: Viewer, schedule_id: Number, response: Response
) -> answers.SharedScheduleDetail:
    """One schedule. Its ETag is what a change names in If-Match."""
    async with cloud_of(request).database.reading() as connection:
        return await _shown(connection, await _known(connection, caller, schedule_id), response)


@router.put("/v1/schedules/{schedule_id:int}", responses=refuses(409, 412, 428))
async def change(
    request: Request,
    caller: Operator,
    schedule_id: Number,
    wanted: SharedScheduleChange,
    response: Response,
    if_match: IfMatch = None,
) -> answers.SharedScheduleDetail:
    """Name, rule and whether it is active, all of it anew. It counts from now on."""
    cloud = cloud_of(request)
    async with cloud.database.writing() as connection:
        found = await _known(connection, caller, schedule_id, to_change=True)
        etags.check(if_match, _etag(found), needed=True)
        if await shared_schedules.name_taken(connection, caller.organisation_id, wanted.name, but_by=schedule_id):
            raise _taken(wanted.name)
        now = cloud.now()
        # a slot that has just come, and that no round has taken yet, is not lost
        since = now if found.next_at is None else min(now, max(found.next_at - _TICK, now - LATE))
        first = await _first(wanted, since - found.shift * _TICK)
        await shared_schedules.change(
            connection,
            found,
            wanted.name,
            wanted.rule,
            active=wanted.active,
            next_at=None if first is None else first + found.shift * _TICK,
            now=now,
        )
        return await _shown(connection, await _known(connection, caller, schedule_id), response)


@router.delete("/v1/schedules/{schedule_id:int}", status_code=204, responses=refuses(412))
async def remove(request: Request, caller: Operator, schedule_id: Number, if_match: IfMatch = None) -> None:
    """It fires no more. What it has asked for already goes on, and stays in the ledger."""
    async with cloud_of(request).database.writing() as connection:
        found = await _known(connection, caller, schedule_id, to_change=True)
        etags.check(if_match, _etag(found), needed=False)
        await shared_schedules.remove(connection, caller.organisation_id, schedule_id)


@router.post("/v1/schedules/{schedule_id:int}/attach")
async def attach(
    request: Request, caller: Operator, schedule_id: Number, wanted: Targets, response: Response
) -> answers.SharedScheduleDetail:
    """To these as well, from the next slot on. All of them, or where one is unknown none."""
    async with cloud_of(request).database.writing() as connection:
        found = await _known(connection, caller, schedule_id, to_change=True)
        await _attach(connection, caller, found, wanted)
        return await _shown(connection, found, response)


@router.post("/v1/schedules/{schedule_id:int}/detach")
async def detach(
    request: Request, caller: Operator, schedule_id: Number, wanted: Targets, response: Response
) -> answers.SharedScheduleDetail:
    """From these, from the next slot on. What it is not attached to is passed over."""
    async with cloud_of(request).database.writing() as connection:
        found = await _known(connection, caller, schedule_id, to_change=True)
        groups = await schedule_targets.groups_called(connection, caller.organisation_id, wanted.groups)
        keys = [caller.key(device_id) for device_id in wanted.devices]
        await schedule_targets.detach(connection, found, keys, list(groups.values()), wanted.tags)
        return await _shown(connection, found, response)


@router.get("/v1/schedules/{schedule_id:int}/next")
async def next_firings(
    request: Request,
    caller: Viewer,
    schedule_id: Number,
    count: Annotated[int, Query(ge=1, le=100)] = 5,
    after: Annotated[AwareDatetime | None, BeforeValidator(only_text), Query()] = None,
) -> answers.Firings:
    """Its next slots, in words: none where it is not active."""
    cloud = cloud_of(request)
    async with cloud.database.reading() as connection:
        found = await _known(connection, caller, schedule_id)
    if after is not None and not FIRST_YEAR <= after.year <= LAST_YEAR:
        raise Refusal(422, f"after: a time of the years {FIRST_YEAR} to {LAST_YEAR}", "invalid")
    return await _next(found.rule, after or cloud.now(), count if found.active else 0)


@router.get("/v1/devices/{device_id}/schedules")
async def of_device(request: Request, caller: Viewer, device_id: str) -> answers.AppliedSchedules:
    """The shared schedules that a device has, by itself, by a group or by a tag, and when each fires next."""
    key = caller.key(device_id)
    async with cloud_of(request).database.reading() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
        found = await schedule_targets.of_device(connection, key)
        waiting = await shared_schedules.waiting_of(connection, key)
    return {"device_id": device_id, "schedules": [schedules_json.applied(row, key, waiting) for row in found]}


async def _first(wanted: SharedScheduleChange, after: datetime) -> datetime | None:
    """The first slot after then. In a thread: a rule that never fires takes long to find out."""
    return await asyncio.to_thread(next_after, wanted.rule, after) if wanted.active else None


async def _next(rule: Rule, after: datetime, count: int) -> answers.Firings:
    def find() -> answers.Firings:
        return schedules_json.firings(rule, list(islice(slots(rule, after + _TICK), count)))

    return await asyncio.to_thread(find)


async def _shown(
    connection: AsyncConnection, found: SharedSchedule, response: Response
) -> answers.SharedScheduleDetail:
    counts = await schedule_targets.counts(connection, [found.schedule_id])
    targets = await schedule_targets.of_schedule(connection, found.schedule_id)
    response.headers["ETag"] = _etag(found)
    return schedules_json.detail(found, counts.get(found.schedule_id, 0), targets)


async def _known(
    connection: AsyncConnection, caller: Caller, schedule_id: int, *, to_change: bool = False
) -> SharedSchedule:
    found = await shared_schedules.find(connection, caller.organisation_id, schedule_id, to_change=to_change)
    if found is None:
        raise Refusal(404, f"There is no schedule {schedule_id}", "unknown")
    return found


async def _attach(connection: AsyncConnection, caller: Caller, found: SharedSchedule, wanted: Targets) -> None:
    keys = [caller.key(device_id) for device_id in wanted.devices]
    for key in await schedule_targets.unknown_devices(connection, keys):
        raise unknown_device(device_id_of(key))
    groups = await schedule_targets.groups_called(connection, caller.organisation_id, wanted.groups)
    _all_known(wanted.groups, groups)
    await schedule_targets.attach(connection, found, keys, groups.values(), wanted.tags)


def _all_known(wanted: list[str], found: Collection[str]) -> None:
    for name in wanted:
        if name not in found:
            raise Refusal(404, f"There is no group {name!r}: make it first", "unknown_group")


def _etag(found: SharedSchedule) -> str:
    return f'"{found.version}"'


def _taken(name: str) -> Refusal:
    return Refusal(409, f"There is a schedule {name!r} already: choose another name", "exists")
