"""Who sends a body is known before it is read, and nobody sends more than a share of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from tests.support import half_request
from tests.support.half_request import HalfRequest, chunk
from visant_cloud.access import authenticate, body_limits, credentials
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.access.revocation import Revocation
from visant_cloud.routes import captures, devices, enrolment, operations, pages, stream, triggers
from visant_cloud.store import access
from visant_cloud.store import devices as device_rows

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # none of it is about the database

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DOORS = ("/v1/enrol", "/sign-in")
"""Where nobody can be known yet."""
MANY = 50_000_000


Begin = Callable[..., Awaitable[HalfRequest]]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """half_request.begin; what it made is closed at the end."""
    made: list[HalfRequest] = []

    async def begin(*given: Any, **named: Any) -> HalfRequest:
        made.append(await half_request.begin(*given, **named))
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.fixture
async def closed(start: Any) -> tuple[Any, dict[str, str]]:
    """A cloud with AUTH=required, and the headers of an API token."""
    cloud = await start(auth="required")
    return cloud, await program(cloud)


async def program(cloud: Any) -> dict[str, str]:
    token = credentials.api_token()
    async with cloud.cloud.database.writing() as connection:
        await access.add_api_token(connection, "default", "test", credentials.digest(token), cloud.time())
    return bearer(token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def device(cloud: Any, api: dict[str, str], device_id: str, **more: Any) -> dict[str, str]:
    answer = await cloud.client.post("/v1/devices", json={"device_id": device_id, **more}, headers=api)
    assert answer.status_code == 201, answer.text
    return bearer(answer.json()["token"])


def every_route() -> Iterator[tuple[str, str]]:
    for module in (stream, triggers, captures, devices, enrolment, operations, pages):
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods or ():
                named = {"device_id": "D1", "trigger_id:path": "t", "record_id": "r"}
                path = route.path
                for name, value in named.items():
                    path = path.replace("{" + name + "}", value)
                yield method, path


async def test_every_route_answers_strangers_before_it_has_taken_their_body(begin: Begin, closed: Any) -> None:
    cloud, api = closed
    revoked = await device(cloud, api, "D1")
    await cloud.client.patch("/v1/devices/D1", json={"token_revoked": True}, headers=api)
    known_by_nobody: tuple[dict[str, str], ...] = (
        {},
        bearer("vd_x"),
        bearer("va_x"),
        revoked,
        {"Cookie": "visant_session=x"},
    )
    tried = set()
    for method, path in every_route():
        if (path in DOORS and method == "POST") or path == "/invite":  # a code opens that one: test_people.py
            continue
        for number, headers in enumerate(known_by_nobody):
            kind, length = ((JSON, MANY), (FORM, None), ({"Content-Type": "image/jpeg"}, MANY))[number % 3]
            one = await begin(cloud.url, method, path, {**headers, **kind}, length=length)
            status = await one.answer(20)
            public = {"GET": (200, 303)}.get(method, ())
            assert status in (401, *public), (method, path, number, kind, status)
            one.close()
        if method != "GET":
            tried.add(path)
    assert len(tried) >= 9, tried


async def test_a_known_device_is_told_that_it_may_not_before_its_body_is_taken(begin: Begin, closed: Any) -> None:
    cloud, api = closed
    own, _ = await device(cloud, api, "D1"), await device(cloud, api, "D2")
    for path, length, status in (
        ("/v1/devices/D2/telemetry", 1000, 403),
        ("/v1/devices/D2/triggers/t/outcome", 1000, 403),
        ("/v1/devices/D1/telemetry", MANY, 413),
        ("/v1/devices/D1/trigger", 1000, 401),
    ):
        one = await begin(cloud.url, "POST", path, {**own, **JSON}, length=length)
        assert await one.answer(20) == status, path
        one.close()


async def test_a_strangers_body_is_small_and_comes_at_once(
    begin: Begin, closed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, _ = closed
    for path, kind in zip(DOORS, (JSON, FORM), strict=True):
        declared = await begin(cloud.url, "POST", path, kind, length=authenticate.STRANGER_BYTES + 1)
        sent = await begin(cloud.url, "POST", path, kind, b"A" * (authenticate.STRANGER_BYTES + 1))
        assert [await declared.answer(), await sent.answer()] == [413, 413]
    monkeypatch.setattr(authenticate, "STRANGER_SECONDS", 0.3)
    for path, kind in zip(DOORS, (JSON, FORM), strict=True):
        slow = await begin(cloud.url, "POST", path, kind, length=100)
        assert await slow.answer() == 408 and slow.problem["reason"] == "too_slow"
        assert await slow.closed()


async def test_one_stranger_holds_only_so_many_requests_and_others_go_in(begin: Begin, closed: Any) -> None:
    cloud, _ = closed
    most = cloud.cloud.shares.strangers.each
    held = [await begin(cloud.url, "POST", "/v1/enrol", JSON, length=100) for _ in range(most)]
    await holding(cloud.cloud.shares.strangers, most)
    one_more = await begin(cloud.url, "POST", "/v1/enrol", JSON, length=100)
    assert await one_more.answer() == 429 and int(one_more.headers["retry-after"]) > 0
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    answer = await cloud.client.post("/v1/enrol", json={"code": "AAAAA-AAAAA"}, headers=elsewhere)
    assert answer.status_code == 403
    for one in held:
        one.close()
    await holding(cloud.cloud.shares.strangers, 0)


async def holding(share: Any, count: int) -> None:
    """Until so many requests count on it."""
    async with asyncio.timeout(60):
        while share._requests != count:
            await asyncio.sleep(0.01)
    assert count or not share._held


async def test_without_a_token_a_capture_names_its_device_first_or_waits_for_one_of_few_places(
    begin: Begin, closed: Any, upload_body: Any
) -> None:
    cloud, api = closed
    await device(cloud, api, "OLD", old_client=True)
    await device(cloud, api, "NEW")
    for name, status in (("OLD", 0), ("NEW", 401), ("NOPE", 404), ("", 0)):
        for before in ("", '"trigger_id": "t", "n": 1, '):
            head = f'{{{before}"device_id": "{name}", "image_base64": "'.encode()
            one = await begin(cloud.url, "POST", "/v1/captures", JSON, head, length=MANY // 5)
            if status:
                assert await one.answer() == status, name
            else:
                share = cloud.cloud.shares.devices if name else cloud.cloud.shares.beginning
                await holding(share, 1)
            one.close()
            await holding(cloud.cloud.shares.devices, 0)
            await holding(cloud.cloud.shares.beginning, 0)
    assert (await cloud.capture("OLD", "t1")).status_code == 201
    late = json.dumps({"other": {"device_id": "NOPE", "pad": "x" * 5000}} | upload_body("OLD", "t2")).encode()
    odd = [await begin(cloud.url, "POST", "/v1/captures", JSON, late[:5000]) for _ in range(2)]
    await holding(cloud.cloud.shares.unnamed, 2)
    assert await (await begin(cloud.url, "POST", "/v1/captures", JSON, late[:5000])).answer() == 429
    for one in odd:
        one.send(chunk(late[5000:]) + b"0\r\n\r\n")
    assert sorted([await one.answer() for one in odd]) == [200, 201], "who was let in is served"


async def test_a_raw_capture_without_a_token_is_known_by_its_header(begin: Begin, closed: Any) -> None:
    cloud, api = closed
    await device(cloud, api, "OLD", old_client=True)
    for told, status in (('{"device_id":"NOPE"}', 404), ("[" * 3000, 400), ('{"device_id":7}', 422)):
        headers = {"Content-Type": "image/jpeg", "Visant-Capture": told}
        one = await begin(cloud.url, "POST", "/v1/captures", headers, b"\xff\xd8", length=MANY // 5)
        assert await one.answer() == status
        one.close()


async def test_one_device_holds_only_its_share_of_requests_and_bytes_and_others_go_in(begin: Begin, start: Any) -> None:
    cloud = await start(auth="required", max_capture_bytes=20_000)
    api = await program(cloud)
    own, other = await device(cloud, api, "D1"), await device(cloud, api, "D2")
    share = cloud.cloud.shares.devices
    share.each = 3
    held = [await begin(cloud.url, "POST", "/v1/captures", own | JSON, length=1000) for _ in range(3)]
    await holding(share, 3)
    for path in ("/v1/captures", "/v1/devices/D1/telemetry", "/v1/devices/D1/triggers/t/outcome"):
        one = await begin(cloud.url, "POST", path, own | JSON, length=1000)
        assert await one.answer() == 429 and int(one.headers["retry-after"]) > 0, path
        assert one.problem["reason"] == "share"
    assert (await cloud.capture("D2", "t", headers=other)).status_code == 201
    for one in held:
        one.close()
    await holding(share, 0)
    assert share.size is not None
    part = share.size * 2 // 5
    held = [await begin(cloud.url, "POST", "/v1/captures", own | JSON, b" " * part, length=part + 9) for _ in range(2)]
    await holding(share, 2)
    one = await begin(cloud.url, "POST", "/v1/captures", own | JSON, b" " * part, length=part + 9)
    assert await one.answer() == 429
    assert (await cloud.capture("D2", "t2", headers=other)).status_code == 201
    for one in held:
        one.close()
    await holding(share, 0)
    assert (await cloud.capture("D1", "t", headers=own)).status_code == 201


async def half_upload(begin: Begin, cloud: Any, headers: dict[str, str], upload_body: Any) -> tuple[HalfRequest, bytes]:
    """A capture of D1 of which the first half has been read, and its second half."""
    body = json.dumps(upload_body("D1", "t")).encode()
    before = cloud.cloud.shares.devices._requests
    one = await begin(cloud.url, "POST", "/v1/captures", headers | JSON, body[: len(body) // 2])
    await holding(cloud.cloud.shares.devices, before + 1)
    return one, body[len(body) // 2 :]


@pytest.mark.parametrize(
    ("change", "status"), [({"token_revoked": True}, 401), ({"active": False}, 403), ({"token_hash": "0" * 64}, 401)]
)
@pytest.mark.parametrize("way", ["here", "elsewhere"])
@pytest.mark.parametrize("old_client", [False, True])
async def test_an_upload_on_its_way_ends_at_its_next_byte_when_its_device_is_revoked(
    begin: Begin, closed: Any, upload_body: Any, change: dict[str, Any], status: int, way: str, old_client: bool
) -> None:
    cloud, api = closed
    own = await device(cloud, api, "D1", old_client=old_client)
    if old_client:
        if "token_hash" in change:
            return  # it has no token that could become another
        own = {}
    revocation = Revocation(cloud.cloud)
    await revocation.look()
    one, rest = await half_upload(begin, cloud, own, upload_body)
    if way == "elsewhere":
        async with cloud.cloud.database.writing() as connection:
            await device_rows.change(connection, "D1", **change)
        await revocation.look()
    elif "token_hash" in change:
        await cloud.client.post("/v1/devices/D1/token", headers=api)
    else:
        await cloud.client.patch("/v1/devices/D1", json=change, headers=api)
    one.send(chunk(rest[:1]))
    assert await one.answer() == status
    one.close()
    assert (await cloud.client.get("/v1/captures", headers=api)).json()["captures"] == []


async def test_a_change_about_another_device_ends_no_upload(begin: Begin, closed: Any, upload_body: Any) -> None:
    cloud, api = closed
    own, _ = await device(cloud, api, "D1"), await device(cloud, api, "D2")
    one, rest = await half_upload(begin, cloud, own, upload_body)
    await cloud.client.patch("/v1/devices/D2", json={"token_revoked": True}, headers=api)
    await Revocation(cloud.cloud).look()
    one.send(chunk(rest) + b"0\r\n\r\n")
    assert await one.answer() == 201


async def test_whose_body_took_its_time_is_asked_again_at_its_end(
    begin: Begin, closed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, api = closed
    await device(cloud, api, "D1")
    monkeypatch.setattr(body_limits, "_AGAIN_AFTER", 0.0)
    one = await begin(cloud.url, "POST", "/v1/devices/D1/trigger", api | JSON, b"{", length=2)
    fine = await cloud.client.post("/v1/devices/D1/trigger", headers=api, json={})
    assert fine.status_code == 200
    async with cloud.cloud.database.writing() as connection:
        await access.remove_api_token(connection, "default", "test")
    one.send(b"}")
    assert await one.answer() == 401


async def test_a_device_that_tells_too_much_is_told_to_wait_and_others_are_not(closed: Any) -> None:
    cloud, api = closed
    own, other = await device(cloud, api, "D1"), await device(cloud, api, "D2")
    limits = {name: RateLimits(0.1, 2.0, lambda: 0.0) for name in ("telemetry_limits", "outcome_limits")}
    vars(cloud.cloud).update(limits)
    failed = {"status": "failed", "reason": "camera_absent"}
    for path, body in (("telemetry", {"device_version": "2"}), ("triggers/x/outcome", failed)):
        answers = [await cloud.client.post(f"/v1/devices/D1/{path}", json=body, headers=own) for _ in range(3)]
        assert [one.is_success for one in answers] == [True, True, False], answers
        assert answers[-1].status_code == 429 and answers[-1].headers["retry-after"] == "10"
        assert (await cloud.client.post(f"/v1/devices/D2/{path}", json=body, headers=other)).is_success


async def test_outcomes_of_triggers_that_never_were_are_bounded_and_those_that_were_are_not(closed: Any) -> None:
    cloud, api = closed
    own, other = await device(cloud, api, "D1"), await device(cloud, api, "D2")
    cloud.cloud.unasked_limits = RateLimits(0.1, 3.0, lambda: 0.0)
    failed = {"status": "failed", "reason": "camera_absent"}

    async def say(trigger_id: str, device_id: str = "D1", headers: dict[str, str] = own) -> int:
        path = f"/v1/devices/{device_id}/triggers/{trigger_id}/outcome"
        return int((await cloud.client.post(path, json=failed, headers=headers)).status_code)

    asked = [(await cloud.client.post("/v1/devices/D1/trigger", headers=api)).json()["trigger_id"] for _ in range(2)]
    assert [await say(f"invented {n}") for n in range(5)] == [200, 200, 200, 429, 429]
    assert [await say(trigger_id) for trigger_id in (*asked, "invented 0")] == [200, 200, 200]
    assert await say("invented", "D2", other) == 200
    rows = (await cloud.client.get("/v1/devices/D1/triggers", headers=api)).json()["triggers"]
    assert len(rows) == 5, "a refused one leaves nothing"


async def test_no_browser_guesses_at_an_answer(start: Any, upload_body: Any) -> None:
    cloud = await start()
    stored = (await cloud.client.post("/v1/devices", json={"device_id": "D1"})).status_code
    record = (await cloud.capture("D1", "t")).json()["record_id"]
    assert stored == 201
    for path in ("/", "/sign-in", "/docs", "/openapi.json", "/static/page.js", "/nowhere", "/metrics", "/v1/devices"):
        answer = await cloud.client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] == "same-origin", path
    for path in (f"/v1/captures/{record}/picture", f"/v1/captures/{record}/thumbnail"):
        assert (await cloud.client.get(path)).headers["x-content-type-options"] == "nosniff"
    async with cloud.client.stream("GET", "/v1/devices/D1/commands") as response:
        assert response.headers["x-content-type-options"] == "nosniff"
