"""Captures: pictures come in once each, and are shown."""

import asyncio
import base64
import binascii
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import ValidationError

from visant_cloud.access import authenticate
from visant_cloud.captures.storage import BrokenPicture, NotAPicture, Picture, examine
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.problems import Refusal, another_cloud, unknown_device, validation_line
from visant_cloud.store import captures, devices, triggers
from visant_cloud.store.captures import Capture
from visant_cloud.views import as_json
from visant_contract.capture import MEANT_FOR, CaptureReceipt, CaptureTime, CaptureUpload
from visant_runtime.kill_point import kill_point

router = APIRouter()
Operator = Depends(authenticate.operator)

_BESIDE_PICTURE = 256 << 10
"""Bytes of JSON that may come with a picture."""
_LATE = 60.0
"""Seconds after which a picture counts as backlog: DELIVERY_RATE applies to it."""
_FULL_RETRY = 300
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2999, 1, 1, tzinfo=UTC)


@router.post(
    "/v1/captures",
    tags=["device"],
    status_code=201,
    response_model=CaptureReceipt,
    responses={200: {"description": "It was stored before; this is its first receipt", "model": CaptureReceipt}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": CaptureUpload.model_json_schema()}},
        }
    },
)
async def store(request: Request) -> Response:
    """Stores a picture; the same trigger again gets the first receipt, never a second record."""
    cloud = cloud_of(request)
    if request.headers.get(MEANT_FOR, cloud.cloud_id) != cloud.cloud_id:
        raise another_cloud()
    await authenticate.expect_device(request)
    body = await _body(request, cloud.settings.max_capture_bytes * 4 // 3 + _BESIDE_PICTURE)
    upload = await asyncio.to_thread(_parse, body)
    del body
    async with cloud.database.reading() as connection:
        if await devices.find(connection, upload.device_id) is None:
            raise unknown_device(upload.device_id)
    await authenticate.admit(request, upload.device_id)
    async with cloud.database.reading() as connection:
        first = await _before(connection, upload)
    if first is not None:
        return _receipt(first, 200)
    _refuse_when_pressed(cloud, upload)
    picture = await asyncio.to_thread(_picture, upload.image_base64, cloud.settings.max_capture_bytes)
    capture, new = await _keep(cloud, upload, picture)
    return _receipt(capture, 201 if new else 200)


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, refused before more than `limit` bytes are in memory."""
    too_large = Refusal(413, f"The capture is larger than this cloud takes ({limit} bytes of JSON)", "too_large")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _parse(body: bytes) -> CaptureUpload:
    try:
        return CaptureUpload.model_validate_json(body)
    except ValidationError as error:
        status = 400 if error.errors()[0]["type"] == "json_invalid" else 422
        raise Refusal(status, validation_line(error.errors(include_input=False)), "invalid") from None


def _picture(image_base64: str, limit: int) -> Picture:
    try:
        jpeg = base64.b64decode(image_base64, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "image_base64: it is not base64", "not_base64") from None
    if len(jpeg) > limit:
        raise Refusal(413, f"The picture has {len(jpeg)} bytes; this cloud takes {limit}", "too_large")
    try:
        return examine(jpeg)
    except NotAPicture as error:
        raise Refusal(415, f"image_base64: {error}", "not_jpeg") from None
    except BrokenPicture as error:
        raise Refusal(422, f"image_base64: {error}", "broken_jpeg") from None


async def _before(connection: Any, upload: CaptureUpload) -> Capture | None:
    if upload.trigger_id is None:
        return None
    return await captures.of_trigger(connection, upload.device_id, upload.trigger_id)


def _refuse_when_pressed(cloud: Cloud, upload: CaptureUpload) -> None:
    if cloud.pictures.free_bytes() < cloud.settings.min_free_bytes:
        raise Refusal(
            507, "The cloud's disk is full; keep the picture and try again later", "disk_full", retry_after=_FULL_RETRY
        )
    if cloud.deliveries is not None and (cloud.now() - _storable(upload.captured_at)).total_seconds() > _LATE:
        wait = cloud.deliveries.take(upload.device_id)
        if wait is not None:
            raise Refusal(
                429, f"One picture of the backlog at a time: come again in {wait} s", "delivery_rate", retry_after=wait
            )


async def _keep(cloud: Cloud, upload: CaptureUpload, picture: Picture) -> tuple[Capture, bool]:
    """File first, row after: a row always has its picture."""
    received_at = cloud.now()
    record_id = secrets.token_hex(16)
    await asyncio.to_thread(cloud.pictures.store, picture, upload.device_id, received_at, record_id)
    kill_point("picture_stored")
    async with cloud.database.writing() as connection:
        new = await captures.add(connection, _row(upload, picture, received_at, record_id))
        if upload.trigger_id is not None:
            kind = str(upload.metadata.get("trigger_type") or "unknown")
            await triggers.captured(connection, upload.device_id, upload.trigger_id, received_at, kind)
        kept = await captures.find(connection, record_id) if new else await _before(connection, upload)
    kill_point("capture_committed")
    assert kept is not None
    if not new:  # two deliveries of one picture at once
        await asyncio.to_thread(cloud.pictures.remove, upload.device_id, received_at, record_id)
    return kept, new


def _row(upload: CaptureUpload, picture: Picture, received_at: datetime, record_id: str) -> dict[str, Any]:
    return {
        "record_id": record_id,
        "device_id": upload.device_id,
        "trigger_id": upload.trigger_id,
        "trigger_label": upload.trigger_label,
        "captured_at": _storable(upload.captured_at),
        "received_at": received_at,
        "uncertainty": _uncertainty(upload.metadata),
        "bytes": len(picture.jpeg),
        "width": picture.width,
        "height": picture.height,
        "sha256": picture.sha256,
        "thumbnail": True,
        "metadata": upload.metadata,
    }


def _storable(moment: datetime) -> datetime:
    """The device's word, unless its clock is so wrong that UTC has no such time."""
    return min(max(moment, _EARLIEST), _LATEST)


def _uncertainty(metadata: dict[str, Any]) -> float | None:
    """What the device says of its clock; a plain device says nothing."""
    try:
        return CaptureTime.model_validate(metadata.get("time")).uncertainty
    except ValidationError:
        return None


def _receipt(capture: Capture, status: int) -> Response:
    receipt = CaptureReceipt(
        record_id=capture.record_id,
        device_id=capture.device_id,
        captured_at=capture.captured_at,
        ingested_at=capture.received_at,
        thumbnail_stored=capture.thumbnail,
    )
    return JSONResponse(receipt.model_dump(mode="json"), status)


@router.get("/v1/captures", tags=["operator"], dependencies=[Operator])
async def listing(
    request: Request,
    device_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> dict[str, Any]:
    """Stored pictures, newest received first; `next_before` continues, null at the end."""
    async with cloud_of(request).database.reading() as connection:
        rows = await captures.page(connection, device_id=device_id, before=before, limit=limit)
    return {
        "captures": [as_json.capture(row) for row in rows],
        "next_before": rows[-1].seq if len(rows) == limit else None,
    }


async def _found(request: Request, record_id: str) -> Capture:
    async with cloud_of(request).database.reading() as connection:
        row = await captures.find(connection, record_id)
    if row is None:
        raise Refusal(404, f"There is no record {record_id[:100]!r}", "unknown_record")
    return row


@router.get("/v1/captures/{record_id}", tags=["operator"], dependencies=[Operator])
async def one(request: Request, record_id: str) -> dict[str, Any]:
    """One stored picture's record."""
    return as_json.capture(await _found(request, record_id))


@router.get("/v1/captures/{record_id}/picture", tags=["operator"], dependencies=[Operator])
async def picture(request: Request, record_id: str) -> Response:
    """The JPEG as the device sent it, byte for byte."""
    row = await _found(request, record_id)
    path = cloud_of(request).pictures.path(row.device_id, row.received_at, row.record_id)
    if not path.is_file():
        raise Refusal(404, "The record is there but its file is gone from the disk", "picture_lost")
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    name = f"{row.device_id}_{row.captured_at:%Y%m%dT%H%M%SZ}.jpg"
    return FileResponse(
        path, media_type="image/jpeg", headers=headers, filename=name, content_disposition_type="inline"
    )


@router.get("/v1/captures/{record_id}/thumbnail", tags=["operator"], dependencies=[Operator])
async def thumbnail(request: Request, record_id: str) -> Response:
    """A small JPEG, at most 320 pixels a side; the picture itself where it is missing."""
    row = await _found(request, record_id)
    path = cloud_of(request).pictures.thumbnail_path(row.device_id, row.received_at, row.record_id)
    if not path.is_file():
        return await picture(request, record_id)
    return FileResponse(
        path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000, immutable"}
    )
