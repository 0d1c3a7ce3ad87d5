"""A JPEG as it is, with all else in one header."""

import hashlib
import json
from typing import Any

import pytest

from visant_contract.capture import CAPTURE_HEADER, CaptureUpload


def raw(body: dict[str, Any], picture: bytes, **changed: Any) -> dict[str, Any]:
    """Arguments of the request."""
    fields = {key: value for key, value in body.items() if key != "image_base64"}
    fields["metadata"] = {"trigger_type": "manual", "sha256": hashlib.sha256(picture).hexdigest()}
    headers = {"content-type": "image/jpeg", CAPTURE_HEADER: json.dumps(fields | changed)}
    return {"content": picture, "headers": headers}


async def test_a_raw_picture_is_stored_as_one_that_came_as_json(start: Any, picture: Any, upload_body: Any) -> None:
    cloud = await start()
    await cloud.client.post("/v1/devices", json={"device_id": "D1"})
    trigger = (await cloud.client.post("/v1/devices/D1/trigger")).json()["trigger_id"]
    jpeg = picture(80, 60)
    sent = raw(upload_body("D1", trigger), jpeg)
    first = await cloud.client.post("/v1/captures", **sent)
    again = await cloud.client.post("/v1/captures", **sent)
    as_json = await cloud.client.post("/v1/captures", json=upload_body("D1", trigger, image=picture(8, 8)))
    assert [answer.status_code for answer in (first, again, as_json)] == [201, 200, 200]
    assert first.json() == again.json() == as_json.json()
    record_id = first.json()["record_id"]
    assert (await cloud.client.get(f"/v1/captures/{record_id}/picture")).content == jpeg
    row = (await cloud.client.get(f"/v1/triggers/D1/{trigger}")).json()
    assert (row["status"], row["record_id"]) == ("executed", record_id)


async def test_connected_says_that_raw_pictures_are_taken_and_whether_a_plain_cloud_was_replaced(start: Any) -> None:
    for succeeds in (False, True):
        cloud = await start(succeeds=succeeds)
        await cloud.client.post("/v1/devices", json={"device_id": "D1"})
        async with cloud.stream("D1") as stream:
            connected = await stream.next()
        assert (connected["accepts"], connected["succeeds"]) == (["image/jpeg"], succeeds)


@pytest.mark.parametrize("told", [None, "", "{", '{"device_id":"D1","trig', "null", "\xff\xfe", "[]"])
async def test_a_header_that_was_stripped_or_cut_is_answered_with_a_status_of_the_400s(
    start: Any, picture: Any, told: str | None
) -> None:
    cloud = await start()
    await cloud.client.post("/v1/devices", json={"device_id": "D1"})
    headers = {"content-type": "image/jpeg"} | ({} if told is None else {CAPTURE_HEADER: told.encode("latin-1")})
    answer = await cloud.client.post("/v1/captures", content=picture(), headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["status"] == answer.status_code


async def test_a_raw_picture_that_was_cut_changed_or_is_none_is_refused(
    start: Any, picture: Any, upload_body: Any
) -> None:
    cloud = await start(max_capture_bytes=10_000)
    await cloud.client.post("/v1/devices", json={"device_id": "D1"})
    jpeg, body = picture(), upload_body("D1", "t-1")
    for content, metadata, status in (
        (jpeg[:-40], None, 422),
        (jpeg.replace(jpeg[200:201], b"\x00", 1), None, 422),
        (b"GIF89a", {}, 415),
        (jpeg[:-40], {}, 422),
        (jpeg + bytes(10_000), None, 413),
    ):
        sent = raw(body, jpeg, **({} if metadata is None else {"metadata": metadata}))
        answer = await cloud.client.post("/v1/captures", **(sent | {"content": content}))
        assert answer.status_code == status, answer.text
    assert (await cloud.client.get("/v1/captures")).json()["captures"] == []


async def test_what_is_not_said_to_be_a_jpeg_is_read_as_json(start: Any, upload_body: Any) -> None:
    cloud = await start()
    await cloud.client.post("/v1/devices", json={"device_id": "D1"})
    content = CaptureUpload.model_validate(upload_body("D1", "t-1")).model_dump_json()
    for kind in ("text/plain", "image/jpegs", "application/json; charset=utf-8", ""):
        answer = await cloud.client.post("/v1/captures", content=content, headers={"content-type": kind})
        assert answer.status_code in (200, 201), answer.text
