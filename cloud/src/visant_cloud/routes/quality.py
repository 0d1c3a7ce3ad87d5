"""What people and programs say of pictures: a reference, a mask, "this one is useful", an evaluation of their own."""

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Caller, Operator, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.captures import intake
from visant_cloud.captures.storage import PictureName
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.quality import judge, mask
from visant_cloud.quality.block import TILES, Figures
from visant_cloud.quality.judge import Memory
from visant_cloud.store import captures, device_states, devices, quality, trigger_outcomes
from visant_cloud.store.captures import Capture
from visant_cloud.store.quality import Known
from visant_cloud.times import time
from visant_cloud.views import answers, as_json, quality_answers

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])

_Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Point = Annotated[list[_Part], Field(min_length=2, max_length=2)]
_Polygon = Annotated[list[_Point], Field(min_length=3, max_length=mask.MOST_POINTS)]


class Evaluation(BaseModel):
    """Body of `PUT /v1/captures/{record_id}/evaluation`. At least one of them is given."""

    model_config = ConfigDict(extra="forbid", strict=True)
    state: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    score: _Part | None = None
    reason: Annotated[str, Field(max_length=1000)] | None = None


class NewReference(BaseModel):
    """Body of `PUT /v1/devices/{device_id}/reference`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    record_id: Annotated[str, Field(min_length=1, max_length=32)]
    """Of a picture of this device."""


class NewMask(BaseModel):
    """Body of `PUT /v1/devices/{device_id}/mask`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    polygons: Annotated[list[_Polygon], Field(min_length=1, max_length=mask.MOST_POLYGONS)]
    """Each of points [x, y], 0 to 1 from the left and from the top. What they cover does not count."""


@router.put("/v1/captures/{record_id}/evaluation")
async def evaluate(request: Request, caller: Operator, record_id: str, said: Evaluation) -> answers.CaptureRow:
    """Keeps what a program of yours says of a picture, beside what the cloud does. Said again, it is replaced."""
    cloud = cloud_of(request)
    if said.state is None and said.score is None:
        raise Refusal(422, "Say at least one of `state` and `score`", "invalid")
    own = {**said.model_dump(), "evaluated_at": time(cloud.now()), "evaluated_by": caller.name}
    async with cloud.database.writing() as connection:
        row = await captures.evaluate(connection, caller.scope, record_id, own)
    if row is None:
        raise _unknown_record(record_id)
    return as_json.capture(row)


@router.post("/v1/captures/{record_id}/verdict/dismiss", responses=refuses(409, 422))
async def dismiss(request: Request, caller: Operator, record_id: str) -> answers.CaptureRow:
    """The cloud was wrong: this picture is useful. What it shows is normal from now on, and the verdict is over."""
    cloud = cloud_of(request)
    row = await _record(cloud, caller, record_id)
    state = next((one for one in judge.STATES if one == row.state), None)
    if state is None or state == "useful":
        raise Refusal(409, "Nothing is said against this picture", "no_verdict")
    figures = await _figures(cloud, row)
    at = min(row.captured_at, row.received_at).timestamp()

    def taught(known: Known) -> tuple[Memory, dict[str, Any]]:
        after = judge.taught(known.memory, figures, at, state)
        return after, quality.NO_VERDICT if after.state == "useful" else {}

    async with cloud.database.writing() as connection:
        if row.trigger_id is not None:  # its slot has a useful picture after all
            await trigger_outcomes.judged(connection, row.device_key, row.trigger_id, True)
        await captures.set_verdict(connection, record_id, "useful", f"it was {state}, and dismissed", cloud.now())
        await _change(connection, row.device_key, taught)
        again = await captures.find(connection, caller.scope, record_id)
    if again is None:  # retention was faster
        raise _unknown_record(record_id)
    return as_json.capture(again)


@router.get("/v1/devices/{device_id}/reference")
async def reference(request: Request, caller: Viewer, device_id: str) -> quality_answers.Reference:
    """The picture that this device's are compared with."""
    known = await _known(cloud_of(request), caller, device_id)
    return _reference(device_id, known.reference_record_id)


@router.put("/v1/devices/{device_id}/reference", responses=refuses(422))
async def set_reference(
    request: Request, caller: Operator, device_id: str, wanted: NewReference
) -> quality_answers.Reference:
    """The scene should look as in this picture. What was learned of its looks before is forgotten; the picture stays,
    however old, for as long as it is the reference."""
    cloud = cloud_of(request)
    row = await _record(cloud, caller, wanted.record_id)
    if row.device_key != caller.key(device_id):
        raise _unknown_record(wanted.record_id)
    figures = await _figures(cloud, row)
    at = min(row.captured_at, row.received_at).timestamp()

    def referred(known: Known) -> tuple[Memory, dict[str, Any]]:
        after = judge.referred(known.memory, figures, at)
        kept = quality.reference_values(row.record_id, after.reference, after.sharpness)
        return after, {**quality.NO_VERDICT, **kept}

    async with cloud.database.writing() as connection:
        if not await captures.hold(connection, row.record_id):  # retention was faster
            raise _unknown_record(wanted.record_id)
        await _change(connection, row.device_key, referred)
    return _reference(device_id, row.record_id)


@router.delete("/v1/devices/{device_id}/reference", status_code=204)
async def forget_reference(request: Request, caller: Operator, device_id: str) -> None:
    """There is none any more. The picture goes when it is old enough."""
    cloud = cloud_of(request)

    def without(known: Known) -> tuple[Memory, dict[str, Any]]:
        return judge.without_reference(known.memory), quality.reference_values(None, None, None)

    await _change_of(cloud, caller, device_id, without)


@router.get("/v1/devices/{device_id}/mask")
async def shown_mask(request: Request, caller: Viewer, device_id: str) -> quality_answers.Mask:
    """What of this device's pictures does not count."""
    known = await _known(cloud_of(request), caller, device_id)
    return _mask(device_id, known.polygons, len(known.memory.masked))


@router.put("/v1/devices/{device_id}/mask")
async def set_mask(request: Request, caller: Operator, device_id: str, wanted: NewMask) -> quality_answers.Mask:
    """A street, a screen, a tree in the wind: what is covered by these polygons does not count. What is normal of the
    rest is learned anew."""
    polygons = wanted.polygons
    tiles = mask.covered([[(x, y) for x, y in polygon] for polygon in polygons])
    if TILES - len(tiles) < mask.LEAST_TILES:
        raise Refusal(
            422,
            f"polygons: they cover {len(tiles)} of {TILES} tiles, and {mask.LEAST_TILES} must be left: mark less",
            "invalid",
        )
    await _change_of(cloud_of(request), caller, device_id, _masking(polygons, tiles))
    return _mask(device_id, polygons, len(tiles))


@router.delete("/v1/devices/{device_id}/mask", status_code=204)
async def forget_mask(request: Request, caller: Operator, device_id: str) -> None:
    """Everything counts."""
    await _change_of(cloud_of(request), caller, device_id, _masking([], []))


Change = Callable[[Known], tuple[Memory, dict[str, Any]]]
"""What a person changes: what is known then, and the columns that only people write."""


def _masking(polygons: list[list[list[float]]], tiles: list[int]) -> Change:
    def masked(known: Known) -> tuple[Memory, dict[str, Any]]:
        after = judge.masked(known.memory, frozenset(tiles))
        return after, {**quality.NO_VERDICT, **quality.mask_values(polygons, tiles)}

    return masked


async def _change_of(cloud: Cloud, caller: Caller, device_id: str, change: Change) -> None:
    key = caller.key(device_id)
    async with cloud.database.writing() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
        await _change(connection, key, change)


async def _change(connection: AsyncConnection, device_key: str, change: Change) -> None:
    """Pictures of the device that come meanwhile wait: its state is locked before what is known of it is read."""
    await device_states.locked(connection, [device_key])
    known = await quality.find(connection, device_key)
    after, more = change(known)
    await quality.write(connection, device_key, known, after, **more)


async def _known(cloud: Cloud, caller: Caller, device_id: str) -> Known:
    key = caller.key(device_id)
    async with cloud.database.reading() as connection:
        if await devices.find(connection, key) is None:
            raise unknown_device(device_id)
        return await quality.find(connection, key)


async def _record(cloud: Cloud, caller: Caller, record_id: str) -> Capture:
    async with cloud.database.reading() as connection:
        row = await captures.find(connection, caller.scope, record_id)
    if row is None:
        raise _unknown_record(record_id)
    return row


async def _figures(cloud: Cloud, row: Capture) -> Figures:
    """Measured once more: only what a verdict says of them is kept with each picture."""
    found = await cloud.pictures.open(PictureName(row.device_key, row.received_at, row.record_id).picture)
    if found is None:
        raise Refusal(404, "The record is there but its picture is gone from the storage", "picture_lost")
    jpeg = b"".join([chunk async for chunk in found.chunks])
    picture = await intake.decoded(cloud, row.device_key, lambda: (jpeg, sha256(jpeg).hexdigest()))
    assert picture.figures is not None
    return picture.figures


def _reference(device_id: str, record_id: str | None) -> quality_answers.Reference:
    path = None if record_id is None else f"/v1/captures/{record_id}/picture"
    return {"device_id": device_id, "record_id": record_id, "picture": path}


def _mask(device_id: str, polygons: list[list[list[float]]], tiles: int) -> quality_answers.Mask:
    return {"device_id": device_id, "polygons": polygons, "masked": round(tiles / TILES, 3)}


def _unknown_record(record_id: str) -> Refusal:
    return Refusal(404, f"There is no record {record_id[:100]!r}", "unknown_record")
