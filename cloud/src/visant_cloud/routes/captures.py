"""Captures: a device delivers them (captures/intake.py), operators and programs are shown them."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Send

from visant_cloud.access import audit, authenticate
from visant_cloud.access.callers import Anyone, Caller, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.captures import intake, thumbnails
from visant_cloud.captures.storage import Download, PictureName, StorageAway
from visant_cloud.context import cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.routes.gallery import Cursor, Wished, found
from visant_cloud.store import captures
from visant_cloud.store.captures import Capture
from visant_cloud.store.gallery import cursor_of
from visant_cloud.views import answers, as_json
from visant_contract.capture import CAPTURE_HEADER, CAPTURE_HEADER_MAX, JPEG, CaptureReceipt, CaptureUpload

log = structlog.get_logger()

router = APIRouter(route_class=GuardedRoute)
_RAW = f"The JPEG; everything else as JSON in the header {CAPTURE_HEADER}, at most {CAPTURE_HEADER_MAX} bytes of ASCII"
_FOR_EVER = "private, max-age=31536000, immutable"
_PICTURE: dict[str, Any] = {
    "tags": ["operator"],
    "response_class": Response,
    "responses": {200: {"content": {JPEG: {}}}},
    "dependencies": [Depends(audit.looked_at)],
}


@router.post(
    "/v1/captures",
    tags=["device"],
    dependencies=[Depends(authenticate.capture_holder)],
    status_code=201,
    response_model=CaptureReceipt,
    responses={
        200: {"description": "It was stored before; this is its first receipt", "model": CaptureReceipt},
        **refuses(404, 412, 415, 429, 507),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": CaptureUpload.model_json_schema()},
                JPEG: {"schema": {"type": "string", "format": "binary", "description": _RAW}},
            },
        }
    },
)
async def store(request: Request) -> Response:
    """Stores a picture; the same trigger again gets the first receipt, never a second record."""
    capture, new = await intake.receive(request)
    log.info("picture stored" if new else "picture was stored before", record_id=capture.record_id, bytes=capture.bytes)
    return _receipt(capture, 201 if new else 200)


def _receipt(capture: Capture, status: int) -> Response:
    receipt = CaptureReceipt(
        record_id=capture.record_id,
        device_id=capture.device_id,
        captured_at=capture.captured_at,
        ingested_at=capture.received_at,
        evaluation_status=as_json.evaluation_status(capture),
        state=capture.state,
        score=capture.score,
        reason=capture.reason,
        evaluated_at=capture.evaluated_at,
        thumbnail_stored=capture.thumbnail,
    )
    return JSONResponse(receipt.model_dump(mode="json"), status)


@router.get("/v1/captures", tags=["operator"], responses=refuses(404))
async def listing(
    request: Request,
    caller: Viewer,
    wish: Wished,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    cursor: Cursor = None,
) -> answers.CapturePage:
    """Stored pictures. Asked for by device alone: newest received first, and `next_before` continues; by anything else:
    newest taken first, and `next_cursor` continues. At the end both are null.
    """
    cloud = cloud_of(request)
    if wish.plain and cursor is None:
        key = wish.devices.keys[0] if wish.devices.keys else None
        async with cloud.database.reading() as connection:
            rows = await captures.page(connection, caller.scope, device_key=key, before=before, limit=limit)
        more = rows[-1].seq if len(rows) == limit else None
        return {"captures": [as_json.capture(row) for row in rows], "next_before": more, "next_cursor": None}
    if before is not None:
        raise Refusal(422, "before: it continues a list by device alone; this one takes `cursor`", "invalid")
    rows = await found(cloud, wish, cursor, limit)
    return {
        "captures": [as_json.capture(row) for row in rows],
        "next_before": None,
        "next_cursor": cursor_of(rows[-1]) if len(rows) == limit else None,
    }


async def _found(request: Request, caller: Caller, record_id: str) -> Capture:
    async with cloud_of(request).database.reading() as connection:
        row = await captures.find(connection, caller.scope, record_id)
    if row is None:
        raise Refusal(404, f"There is no record {record_id[:100]!r}", "unknown_record")
    return row


@router.get("/v1/captures/{record_id}", tags=["operator"])
async def one(request: Request, caller: Anyone, record_id: str) -> answers.CaptureRow:
    """One stored picture's record."""
    return as_json.capture(await _found(request, caller, record_id))


@router.get("/v1/captures/{record_id}/picture", **_PICTURE)
async def picture(request: Request, caller: Anyone, record_id: str) -> Response:
    """The JPEG as the device sent it, byte for byte."""
    return await _picture(request, await _found(request, caller, record_id))


async def _picture(request: Request, row: Capture) -> Response:
    file = await cloud_of(request).pictures.open(_name(row).picture)
    if file is None:
        raise Refusal(404, "The record is there but its picture is gone from the storage", "picture_lost")
    name = f"{row.device_id}_{row.captured_at:%Y%m%dT%H%M%SZ}.jpg"
    return _Jpeg(file, {"Content-Disposition": f'inline; filename="{name}"'})


@router.get("/v1/captures/{record_id}/thumbnail", **_PICTURE)
async def thumbnail(
    request: Request, caller: Anyone, record_id: str, size: Literal["large", "small"] = "large"
) -> Response:
    """A small JPEG, at most 320 pixels a side (`size=small`: 120); the picture itself where it is missing."""
    row = await _found(request, caller, record_id)
    file = await cloud_of(request).pictures.open(_name(row).thumbnail)
    if file is None:
        return await _picture(request, row)
    if size == "large":
        return _Jpeg(file, {})
    whole = b"".join([chunk async for chunk in file.chunks])
    made = await asyncio.to_thread(thumbnails.smaller, whole)
    return Response(made, media_type=JPEG, headers={"Cache-Control": _FOR_EVER})


def _name(row: Capture) -> PictureName:
    return PictureName(row.device_key, row.received_at, row.record_id)


class _Jpeg(StreamingResponse):
    """A stored JPEG, a piece at a time."""

    def __init__(self, file: Download, headers: dict[str, str]) -> None:
        more = {"Content-Length": str(file.size), "Cache-Control": _FOR_EVER}
        super().__init__(file.chunks, media_type="image/jpeg", headers={**headers, **more})

    async def stream_response(self, send: Send) -> None:
        """A storage that leaves in the middle has written its line; the connection ends, which the reader sees."""
        with suppress(StorageAway):
            await super().stream_response(send)
