"""What happens to a capture between its request and its receipt."""

import asyncio
import base64
import binascii
import hashlib
import random
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from pydantic import ValidationError
from structlog.contextvars import bind_contextvars

from visant_cloud.access import authenticate
from visant_cloud.captures.decoding.pool import DecoderFailed, DecodersBusy, Sent
from visant_cloud.captures.picture import BrokenPicture, CostlyPicture, NotAPicture, Picture
from visant_cloud.captures.storage import PictureName, StorageAway, StorageFull
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.problems import Refusal, validation_line
from visant_cloud.quality.judge import Verdict, judge
from visant_cloud.store import captures, quality, trigger_outcomes
from visant_cloud.store.captures import Capture
from visant_cloud.store.quality import Known
from visant_contract.capture import CAPTURE_HEADER, JPEG, CaptureFields, CaptureTime, CaptureUpload
from visant_runtime.kill_point import kill_point

Fields = TypeVar("Fields", bound=CaptureFields)

_BESIDE_PICTURE = 256 << 10
"""Bytes of JSON that may come with a picture."""
_LATE = 60.0
"""Seconds after which a picture counts as backlog: DELIVERY_RATE applies to it."""
_FULL_RETRY = 300
"""Seconds after which a device may ask again whether the disk has room."""
_BUSY_RETRY = 5, 20
"""Seconds after which a picture may come again that met no free decoder: another number for each."""
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2999, 1, 1, tzinfo=UTC)


async def receive(request: Request) -> tuple[Capture, bool]:
    """The stored picture, and whether this request stored it. Raises Refusal, the cheapest to find out first.

    For another cloud, from a stranger, too large, no capture, of a device that may not, stored before (no refusal),
    no room or too fast, no picture.
    """
    cloud = cloud_of(request)
    await authenticate.meant_for_us(request)
    holder = await authenticate.possible_device(request)
    upload, sent = await _read(request, cloud.settings.max_capture_bytes)
    device = await authenticate.named_device(request, holder, upload.device_id)
    bind_contextvars(device=device.device_key, **({"trigger_id": upload.trigger_id} if upload.trigger_id else {}))
    await authenticate.meant_for_us(request, device)
    first = None
    if upload.trigger_id is not None:
        first = await captures.stored_before(cloud.database, device.device_key, upload.trigger_id)
    if first is not None:
        return first, False
    await cloud.pictures.ready()
    _refuse_when_pressed(cloud, device.device_key, upload)
    picture = await decoded(cloud, device.device_key, sent)
    known = await quality.find(cloud.database, device.device_key)
    return await _keep(cloud, device.device_key, upload, picture, known)


async def _read(request: Request, most: int) -> tuple[CaptureFields, Callable[[], Sent]]:
    """What came beside the picture, and what gives the picture, in a thread."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == JPEG:
        fields = _parse(CaptureFields, request.headers.get(CAPTURE_HEADER, "").encode("latin-1"))
        jpeg = await _body(request, most, "a JPEG")
        return fields, partial(_raw_picture, jpeg, fields.metadata.get("sha256"))
    body = await _body(request, most * 4 // 3 + _BESIDE_PICTURE, "JSON")
    upload = await asyncio.to_thread(_parse, CaptureUpload, body)
    return upload, partial(_picture, upload.image_base64, most)


async def _body(request: Request, limit: int, what: str) -> bytes:
    """The request's body, refused before more than `limit` bytes are in memory."""
    too_large = Refusal(413, f"The capture is larger than this cloud takes ({limit} bytes of {what})", "too_large")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _parse(model: type[Fields], body: bytes) -> Fields:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        status = 400 if error.errors()[0]["type"] == "json_invalid" else 422
        raise Refusal(status, validation_line(error.errors(include_input=False)), "invalid") from None


def _picture(image_base64: str, limit: int) -> Sent:
    try:
        jpeg = base64.b64decode(image_base64, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "image_base64: it is not base64", "not_base64") from None
    if len(jpeg) > limit:
        raise Refusal(413, f"The picture has {len(jpeg)} bytes; this cloud takes {limit}", "too_large")
    return jpeg, hashlib.sha256(jpeg).hexdigest()


def _raw_picture(jpeg: bytes, said: object) -> Sent:
    """`said`: its SHA-256 by the device's word, if any; on the way, nobody but we would notice a byte less."""
    sha256 = hashlib.sha256(jpeg).hexdigest()
    if isinstance(said, str) and sha256 != said:
        raise Refusal(422, "The picture is not the one that was sent: its SHA-256 differs", "changed_on_the_way")
    return jpeg, sha256


async def decoded(cloud: Cloud, device_key: str, sent: Callable[[], Sent]) -> Picture:
    """Raises Refusal: for good only for what the picture is; what others or the machine do means later."""
    try:
        return await cloud.decoders.decode(device_key, sent)
    except NotAPicture as error:
        raise Refusal(415, f"The picture: {error}", "not_jpeg") from None
    except BrokenPicture as error:
        raise Refusal(422, f"The picture: {error}", "broken_jpeg") from None
    except CostlyPicture as error:
        raise Refusal(422, f"The picture: {error}", "costly_jpeg") from None
    except DecodersBusy as error:
        seconds = random.randint(*_BUSY_RETRY)
        raise Refusal(503, f"The picture cannot be decoded just now: {error}", "busy", retry_after=seconds) from None
    except DecoderFailed as error:
        text = f"The picture could not be decoded: {error}"
        raise Refusal(503, text, "decoder_lost", retry_after=error.retry_after) from None


def _refuse_when_pressed(cloud: Cloud, device_key: str, upload: CaptureFields) -> None:
    left = cloud.pictures.free_bytes()
    if left is not None and left < cloud.settings.min_free_bytes:
        raise _full()
    if cloud.delivery_limits is not None and (cloud.now() - _storable(upload.captured_at)).total_seconds() > _LATE:
        wait = cloud.delivery_limits.acquire(device_key)
        if wait is not None:
            raise Refusal(
                429, f"One picture of the backlog at a time: come again in {wait} s", "delivery_rate", retry_after=wait
            )


def _full() -> Refusal:
    text = "The cloud's disk is full; keep the picture and try again later"
    return Refusal(507, text, "disk_full", retry_after=_FULL_RETRY)


async def _keep(
    cloud: Cloud, device_key: str, upload: CaptureFields, picture: Picture, known: Known
) -> tuple[Capture, bool]:
    """Picture first, row after: a row always has its picture."""
    received_at = cloud.now()
    assert picture.figures is not None
    taken_at = min(_storable(upload.captured_at), received_at)
    size = f"{picture.width}x{picture.height}"
    verdict, after = judge(picture.figures, size, taken_at.timestamp(), known.memory)
    record_id = secrets.token_hex(16)
    name = PictureName(device_key, received_at, record_id)
    committing = False
    row = _row(device_key, upload, picture, received_at, record_id)
    try:
        await cloud.pictures.store(picture, name)
        kill_point("picture_stored")
        async with cloud.database.writing() as connection:
            kept, held = await captures.add(connection, row | _said(verdict, received_at))
            if held is not None:
                await quality.note(
                    connection, device_key, known, after, at=taken_at, reason=verdict.reason, record_id=record_id
                )
            if held is not None and upload.trigger_id is not None:
                kind = str(upload.metadata.get("trigger_type") or "unknown")
                await trigger_outcomes.captured(
                    connection, device_key, upload.trigger_id, received_at, kind, held, kept
                )
            committing = True
    except StorageFull:
        raise _full() from None
    except StorageAway:
        raise
    except BaseException as error:
        if not committing or _never_committed(error):
            await _take_back(cloud, name)
        raise
    kill_point("capture_committed")
    if held is None:  # two deliveries of one picture at once
        await _take_back(cloud, name)
    return kept, held is not None


def _never_committed(error: BaseException) -> bool:
    """Whether a commit that raised this changed nothing. Any other may have come through: the file must stay then, and
    housekeeping judges by the row."""
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


async def _take_back(cloud: Cloud, name: PictureName) -> None:
    """The picture has no row. What cannot be removed now housekeeping finds."""
    with suppress(StorageAway):
        await asyncio.shield(cloud.pictures.remove([name]))


def _row(
    device_key: str, upload: CaptureFields, picture: Picture, received_at: datetime, record_id: str
) -> dict[str, Any]:
    return {
        "record_id": record_id,
        "device_key": device_key,
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


def _said(verdict: Verdict, now: datetime) -> dict[str, Any]:
    return {
        "state": verdict.state,
        "score": verdict.score,
        "reason": verdict.reason,
        "evaluated_at": now,
        "figures": verdict.figures,
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
