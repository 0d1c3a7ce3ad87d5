"""What people, broken devices and strangers send: one plain line each, nothing stored, no fault of the cloud."""

import asyncio
import base64
import json
from typing import Any

import httpx
import sqlalchemy

from visant_cloud.access import credentials
from visant_cloud.store import access


async def registered(start: Any, **chosen: Any) -> Any:
    cloud = await start(**chosen)
    await cloud.register()
    return cloud


async def refused(cloud: Any, status: int, text: str, **more: Any) -> None:
    answer = await cloud.capture("D1", "t", **more)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert text in answer.json()["detail"]
    assert cloud.files() == []


async def test_pictures_that_are_none_are_refused(start: Any, picture: Any) -> None:
    cloud = await registered(start)
    await refused(cloud, 400, "not base64", image_base64="this is *not* base64")
    await refused(cloud, 400, "not base64", image_base64="QUJ")
    await refused(cloud, 415, "FF D8 FF", image=b"")
    await refused(cloud, 415, "FF D8 FF", image=b"GIF89a, says a placeholder")
    whole = picture(320, 240)
    await refused(cloud, 422, "end marker", image=whole[:-200])
    await refused(cloud, 422, "cannot be decoded", image=whole[:200] + b"\xff\xd9")
    await refused(cloud, 422, "cannot be decoded", image=b"\xff\xd8\xff" + b"\0" * 500 + b"\xff\xd9")
    assert (await cloud.client.get("/v1/devices/D1/triggers")).json()["triggers"] == []


async def test_a_jpeg_padded_with_zeros_is_a_picture(start: Any, picture: Any) -> None:
    cloud = await registered(start)
    assert (await cloud.capture("D1", "t", image=picture() + b"\0" * 64)).status_code == 201


async def test_a_capture_of_an_unknown_device_is_refused(start: Any) -> None:
    cloud = await registered(start)
    answer = await cloud.capture("NOPE", "t")
    assert answer.status_code == 404 and "unknown" in answer.json()["detail"]


async def test_a_capture_of_50_mb_is_refused_before_it_is_in_memory(start: Any) -> None:
    cloud = await registered(start)

    async def endless() -> Any:
        yield b'{"device_id":"D1","image_base64":"'
        for _ in range(200):
            yield b"A" * (1 << 18)

    try:
        answer = await cloud.client.post("/v1/captures", content=endless())
        assert answer.status_code == 413 and "larger" in answer.json()["detail"]
    except (httpx.WriteError, httpx.ReadError):
        pass  # it answered and closed while the body was still on its way
    head = {"content-length": str(50 << 20), "content-type": "application/json"}
    reader, writer = await asyncio.open_connection("127.0.0.1", int(cloud.url.rsplit(":", 1)[1]))
    lines = "\r\n".join(["POST /v1/captures HTTP/1.1", "host: x", *(f"{k}: {v}" for k, v in head.items())])
    writer.write(lines.encode() + b"\r\n\r\n")
    assert b"413" in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await writer.wait_closed()


async def test_a_decoded_picture_over_the_limit_is_refused(start: Any) -> None:
    cloud = await registered(start, max_capture_bytes=2000)
    noise = bytes(range(256)) * 10
    await refused(cloud, 413, "2000", image=b"\xff\xd8\xff" + noise + b"\xff\xd9")


NO_CAPTURES = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 422),
    (b"null", 422),
    (b'"x"', 422),
    (b"{}", 422),
    (b"\xff\xfe", 400),
    (b'{"device_id":7,"image_base64":"","captured_at":"2026-01-01T00:00:00Z"}', 422),
    (b'{"device_id":"D1","image_base64":"","captured_at":"yesterday"}', 422),
    (b'{"device_id":"D1","image_base64":"","captured_at":"2026-01-01T00:00:00Z","metadata":[]}', 422),
    (b'{"device_id":"D1","trigger_id":"","image_base64":"","captured_at":"2026-01-01T00:00:00Z"}', 422),
    (b'{"device_id":"' + b"D" * 5000 + b'","image_base64":"","captured_at":"2026-01-01T00:00:00Z"}', 422),
    (b"[" * 100_000, 400),
    (b'{"device_id":"D1","trigger_id":"\\ud800","image_base64":"","captured_at":"2026-01-01T00:00:00Z"}', 400),
]


async def test_bodies_that_are_no_capture_are_refused(start: Any) -> None:
    cloud = await registered(start)
    for body, status in NO_CAPTURES:
        answer = await cloud.client.post("/v1/captures", content=body)
        assert answer.status_code == status, (body[:80], answer.text)
        assert "\n" not in answer.json()["detail"] and len(answer.json()["detail"]) < 600


async def test_nul_characters_and_odd_text_do_no_harm(start: Any) -> None:
    cloud = await registered(start)
    for text in ("\0", "a\0b", "\ud7ff", "<script>alert(1)</script>", "'; DROP TABLE triggers; --", "../../../etc"):
        path = f"/v1/devices/D1/triggers/{percent(text)}/outcome"
        body = {"status": "failed", "reason": text.replace("\0", "") or "r", "detail": text}
        answer = await cloud.client.post(path, json=body)
        assert answer.status_code in (200, 422), (text, answer.text)
        assert (await cloud.capture("D1", f"c{text}", trigger_label=text)).status_code in (201, 422)
    page = (await cloud.client.get("/devices/D1")).text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page


def percent(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


async def test_odd_device_ids_are_refused_where_they_would_be_created(start: Any) -> None:
    cloud = await registered(start)
    for device_id in ("a b", ".hidden", "x" * 65, "ü", "a%2Fb", "-", "a\nb"):
        answer = await cloud.client.post("/v1/devices", json={"device_id": device_id})
        assert answer.status_code == 422, device_id
        opened = await cloud.client.get(f"/v1/devices/{percent(device_id)}/commands")
        assert opened.status_code == 404, device_id
    assert [one["device_id"] for one in (await cloud.client.get("/v1/devices")).json()["devices"]] == ["D1"]


async def test_intervals_that_make_no_schedule_are_refused(start: Any) -> None:
    cloud = await registered(start)
    intervals: list[Any] = [0, -1, 0.2, "x", 1e12, "NaN", "60", True, [], {}]
    for interval in intervals:
        answer = await cloud.client.put("/v1/devices/D1/schedule", json={"interval_seconds": interval})
        assert answer.status_code == 422, interval
    assert (await cloud.client.put("/v1/devices/D1/schedule", json={})).status_code == 422
    assert (await cloud.client.get("/v1/devices/D1")).json()["interval_seconds"] is None


async def test_figures_and_times_that_no_database_holds_do_no_harm(start: Any) -> None:
    cloud = await registered(start)
    for number, moment in enumerate(("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1970-01-01T00:00:07Z")):
        answer = await cloud.capture("D1", f"t{number}", captured_at=moment)
        assert answer.status_code == 201, answer.text
    odd = json.dumps({"device_id": "D1", "metadata": {"x": [float("nan"), float("inf")]}})[:-1]
    body = json.dumps(upload_of(cloud, "n"))[1:]
    answer = await cloud.client.post("/v1/captures", content=odd.replace('"device_id": "D1", ', "") + "," + body)
    assert answer.status_code == 201, answer.text
    assert (await cloud.client.get("/v1/captures")).json()["captures"][0]["metadata"] == {"x": [None, None]}
    for before in (2**63, 10**30, -1, 0, "x"):
        assert (await cloud.client.get("/v1/devices/D1/triggers", params={"before": before})).status_code == 422
        assert (await cloud.client.get("/v1/captures", params={"before": before})).status_code == 422
    assert (await cloud.client.get("/devices/D1")).status_code == 200


def upload_of(cloud: Any, trigger_id: str) -> dict[str, Any]:
    import io

    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (16, 16)).save(data, "JPEG")
    return {
        "device_id": "D1",
        "trigger_id": trigger_id,
        "image_base64": base64.b64encode(data.getvalue()).decode(),
        "captured_at": "2026-01-01T00:00:00Z",
    }


async def test_settings_must_be_an_object_of_bearable_size(start: Any) -> None:
    cloud = await registered(start)
    for body, status in ((b"[]", 422), (b"7", 422), (b"{", 422), (json.dumps({"a": "x" * 70_000}).encode(), 413)):
        answer = await cloud.client.put(
            "/v1/devices/D1/config", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == status


async def test_a_wrong_path_and_a_wrong_method_are_problem_details(start: Any) -> None:
    cloud = await registered(start)
    for method, path, status in (("GET", "/v1/nothing", 404), ("DELETE", "/v1/devices", 405)):
        answer = await cloud.client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    for path, methods in (("/v1/devices", "GET, HEAD, POST"), ("/v1/devices/D1", "DELETE, GET, HEAD, PATCH")):
        assert (await cloud.client.request("TRACE", path)).headers["allow"] == methods


async def test_words_that_only_look_like_a_value_are_none(start: Any) -> None:
    cloud = await registered(start)
    for method, path, body in (
        ("POST", "/v1/devices", {"device_id": "D2", "old_client": "yes"}),
        ("PATCH", "/v1/devices/D1", {"active": 0}),
        ("POST", "/v1/devices/D1/trigger", {"expires_in": "60"}),
    ):
        assert (await cloud.client.request(method, path, json=body)).status_code == 422, body
    assert (await cloud.client.get("/v1/devices/D1/triggers", params={"status": "lost"})).status_code == 422
    assert (await cloud.client.get("/v1/devices", params={"state": "lost"})).status_code == 422
    assert [one["active"] for one in (await cloud.client.get("/v1/devices")).json()["devices"]] == [True]


async def test_telemetry_with_wrong_types_is_refused_and_the_old_one_stays(start: Any) -> None:
    cloud = await registered(start)
    good = {"device_version": "2.0.0", "state": "degraded", "reasons": ["camera: camera_absent"]}
    assert (await cloud.client.post("/v1/devices/D1/telemetry", json=good)).status_code == 204
    bad = {"device_version": "2.0.0", "spool": {"pictures": "many"}}
    assert (await cloud.client.post("/v1/devices/D1/telemetry", json=bad)).status_code == 422
    assert (await cloud.client.get("/v1/devices/D1")).json()["telemetry"]["reasons"] == ["camera: camera_absent"]


DEEP = "[" * 400 + "]" * 400
HALF = '"\\ud800"'
"""Half a surrogate pair: JSON may spell it, UTF-8 cannot."""
JSON_BODY = {"content-type": "application/json"}


async def all_is_shown(cloud: Any) -> None:
    for path in ("/", "/devices/D1", "/v1/devices", "/v1/devices/D1", "/metrics"):
        answer = await cloud.client.get(path)
        assert answer.status_code == 200, (path, answer.text)


async def test_a_bad_number_costs_only_itself_and_no_page(start: Any) -> None:
    cloud = await registered(start)
    for bad in ("NaN", "-Infinity", "1e999", "1" + "0" * 400, '"NaN"'):
        spool = f'{{"pictures":{bad},"reports":1,"bytes":{bad},"limit_bytes":9,"held":{bad},"days_left":{bad}}}'
        clock = f'{{"wall":"2026-01-01T00:00:00Z","synchronised":true,"cloud_offset":{bad}}}'
        camera = f'{{"state":"ok","width":{bad},"fps":{bad}}}'
        body = (
            f'{{"device_version":"2","temperature":{bad},"uptime":60,"disk_free_bytes":{bad},"spool":{spool},'
            f'"clock":{clock},"camera":{camera},"counters":{{"a":{bad},"b":2}},"update":{{"x":{bad}}}}}'
        )
        answer = await cloud.client.post("/v1/devices/D1/telemetry", content=body, headers=JSON_BODY)
        assert answer.status_code == 204, (bad, answer.text)
        told = (await cloud.client.get("/v1/devices/D1")).json()["telemetry"]
        assert told["uptime"] == 60 and told["counters"] == {"b": 2}
        assert told["camera"] == {"state": "ok"} and "temperature" not in told
        await all_is_shown(cloud)


async def test_telemetry_and_outcomes_that_cannot_be_sent_on_are_refused(start: Any) -> None:
    cloud = await registered(start)
    for bad in (HALF, DEEP, f"{{{HALF}:1}}"):
        for part in (f'"update":{{"a":{bad}}}', f'"versions":{{"a":{bad}}}', f'"reasons":[{bad}]', f"{HALF}:{bad}"):
            body = f'{{"device_version":"2",{part}}}'
            answer = await cloud.client.post("/v1/devices/D1/telemetry", content=body, headers=JSON_BODY)
            assert answer.status_code == 422, (part[:50], answer.text)
        for part in (f'"metadata":{{"trigger_type":{bad}}}', f'"detail":{bad}'):
            body = f'{{"status":"failed","reason":"camera_absent",{part}}}'
            answer = await cloud.client.post("/v1/devices/D1/triggers/x/outcome", content=body, headers=JSON_BODY)
            assert answer.status_code == 422, answer.text
        answer = await cloud.client.post("/v1/enrol", content=f'{{"code":{bad}}}', headers=JSON_BODY)
        assert answer.status_code == 422, answer.text
        answer = await cloud.client.post("/v1/devices", content=f"{{{HALF}:{bad}}}", headers=JSON_BODY)
        assert answer.status_code == 422, answer.text
        await all_is_shown(cloud)
    assert (await cloud.client.get("/v1/devices/D1/triggers")).json()["triggers"] == []


async def test_settings_that_cannot_be_sent_on_are_refused(start: Any) -> None:
    cloud = await registered(start)
    await cloud.client.put("/v1/devices/D1/config", json={"brightness": 7})
    for bad in (HALF, DEEP, f"{{{HALF}:1}}"):
        body = f'{{"a":{bad}}}'
        answer = await cloud.client.put("/v1/devices/D1/config", content=body, headers=JSON_BODY)
        assert answer.status_code == 422 and "nested deeper" in answer.json()["detail"], answer.text
    async with cloud.stream("D1") as stream:
        assert (await stream.next())["config"] == {"brightness": 7}
    await all_is_shown(cloud)


async def test_what_earlier_versions_stored_breaks_neither_pages_nor_streams(start: Any, engine: str) -> None:
    cloud = await registered(start)
    kind = "TEXT" if engine == "sqlite" else "JSON"
    async with cloud.stream("D1") as stream:
        await stream.next()
        trigger = (await cloud.client.put("/v1/devices/D1/config", json={"brightness": 7})).json()["trigger_id"]
    spool = '{"pictures":1,"reports":1,"bytes":1,"limit_bytes":1,"days_left":null}'
    numbers = f'"temperature":null,"uptime":null,"disk_free_bytes":1{"0" * 400},"spool":{spool}'
    for bad in (HALF, DEEP, f"{{{HALF}:1}}"):
        telemetry = f'{{"device_version":"2",{numbers},"update":{{"a":{bad}}},"clock":null,"camera":null}}'
        settings = f'{{"contrast":3,"a":{bad}}}'
        async with cloud.cloud.database.writing() as connection:
            for column, stored in (
                ("device_states SET telemetry", telemetry),
                ("devices SET config", settings),
                ("triggers SET config", settings),
            ):
                given = sqlalchemy.text(f"UPDATE {column} = CAST(:stored AS {kind})").bindparams(stored=stored)
                await connection.execute(given)
        await all_is_shown(cloud)
        async with cloud.stream("D1") as stream:
            assert (await stream.next())["config"]["contrast"] == 3
            command = await stream.command()
            assert command["trigger_id"] == trigger and command["config"]["contrast"] == 3


async def test_no_body_fills_the_memory(start: Any) -> None:
    cloud = await start(auth="required")

    async def endless() -> Any:
        yield b'{"code":"'
        for _ in range(1000):
            yield b"A" * (1 << 16)

    token = credentials.api_token()
    async with cloud.cloud.database.writing() as connection:
        await access.add_api_token(connection, "default", "test", credentials.digest(token), cloud.time())
    form = {"content-type": "application/x-www-form-urlencoded"}
    program = JSON_BODY | {"authorization": f"Bearer {token}"}
    for path, kind in (("/v1/enrol", JSON_BODY), ("/v1/devices/D1/trigger", program), ("/sign-in", form)):
        for content in (endless(), b"A" * (300 << 10)):
            try:
                answer = await cloud.client.post(path, content=content, headers=kind)
                assert answer.status_code == 413, answer.text
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["reason"] == "too_large"
            except (httpx.WriteError, httpx.ReadError):
                pass  # it answered and closed while the body was still on its way
    fine = await cloud.client.post("/v1/enrol", content=b'{"code":"' + b" " * (10 << 10) + b'"}', headers=JSON_BODY)
    assert fine.status_code == 422
    for content_type in ("application/json", "text/plain"):
        deep = {"content": b"[" * 10_000, "headers": {"content-type": content_type}}
        assert (await cloud.client.post("/v1/enrol", **deep)).status_code in (400, 422)


async def test_a_placeholder_of_base64_with_line_breaks_is_not_guessed_at(start: Any, picture: Any) -> None:
    cloud = await registered(start)
    text = base64.encodebytes(picture(200, 200)).decode()
    await refused(cloud, 400, "not base64", image_base64=text)
