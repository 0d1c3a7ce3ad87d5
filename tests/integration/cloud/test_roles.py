"""Roles: on every route each role gets what its guard says, and no more; refused attempts are on record."""

import json
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from tests.integration.cloud.test_organisations import bearer, grouped, made, program
from visant_cloud import app
from visant_cloud.access import audit, callers, roles

GUARDS = {
    callers.viewer: roles.READ,
    callers.operator: roles.OPERATE,
    callers.admin: roles.ADMINISTER,
    callers.technician: roles.INSTALL,
    callers.anyone: roles.KNOWN,
}
SQLITE = pytest.mark.parametrize("engine", ["sqlite"])  # what a role may do is no question to the database


async def token(cloud: Any, api: dict[str, str], name: str, role: str, **more: Any) -> dict[str, str]:
    """The headers of a new API token."""
    body = {"name": name, "role": role, **more}
    answer = await cloud.client.post("/v1/tokens", json=body, headers=api)
    assert answer.status_code == 201, answer.text
    return bearer(answer.json()["token"])


@pytest.fixture
async def cloud(start: Any) -> Any:
    return await start(auth="required")


@SQLITE
async def test_every_route_is_refused_to_every_role_that_it_is_not_for(cloud: Any) -> None:
    api = await program(cloud, "default")
    await made(cloud, api, "D1")
    mine = {role: await token(cloud, api, role, role) for role in roles.ROLES}
    refused = tried = 0
    for module in app._ROUTES:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            needs = [one.call for one in route.dependant.dependencies]
            allowed = [may for guard, may in GUARDS.items() if guard in needs]
            for method in route.methods or () if allowed else ():
                path = route.path.replace("{device_id}", "D1").replace("{trigger_id:path}", "t")
                path = path.replace("{schedule_id:int}", "1").replace("{", "").replace("}", "")
                for role in roles.ROLES:
                    if path == "/v1/events" and role in allowed[0]:
                        continue  # it has no end: test_events.py
                    if method != "GET" and role in allowed[0]:
                        continue  # it would do it
                    answer = await cloud.client.request(method, path, headers=mine[role], json={})
                    is_page = "text/html" in answer.headers.get("content-type", "")
                    reason = None if is_page or answer.status_code != 403 else answer.json()["reason"]
                    if role in allowed[0]:
                        assert answer.status_code not in (401, 403), (method, path, role, answer.text)
                    else:
                        assert answer.status_code == 403, (method, path, role, answer.text)
                        assert is_page or reason == "role", (method, path, role, answer.text)
                        refused += method != "GET" or audit.looked_at in needs
                    tried += 1
    assert tried > 100, "the walk went past the routes"
    await cloud.cloud.later.flush()
    params = {"limit": 1000}
    records = (await cloud.client.get("/v1/audit", params=params, headers=api)).json()["records"]
    assert sum(one["status"] == 403 for one in records) == refused


async def events_of(cloud: Any, headers: dict[str, str]) -> list[dict[str, Any]]:
    """All that is kept and told to this caller, up to a trigger of N1 that is made now."""
    told: list[dict[str, Any]] = []
    async with cloud.client.stream("GET", "/v1/events?after=0", headers=headers, timeout=60) as response:
        assert response.status_code == 200
        fired = (await cloud.client.post("/v1/devices/N1/trigger", headers=headers)).json()["trigger_id"]
        async for line in response.aiter_lines():
            event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if event.get("device_id"):
                told.append(event)
            if fired in line:
                return told
    raise AssertionError("the stream ended")


async def test_a_person_limited_to_groups_works_in_them_and_in_no_others(cloud: Any) -> None:
    api = await program(cloud, "default")
    north, south = await made(cloud, api, "N1"), await made(cloud, api, "S1")
    await grouped(cloud, "north", "N1")
    await grouped(cloud, "south", "S1")
    mine = await token(cloud, api, "north", "operator", groups=["north"])
    for name, device in (("N1", north), ("S1", south)):
        assert (await cloud.capture(name, "t", headers=device)).status_code == 201

    async def get(path: str, **params: str) -> httpx.Response:
        answer: httpx.Response = await cloud.client.get(path, params=params, headers=mine)
        return answer

    for more in ({}, {"filter": "-group:south"}, {"limit": "5"}):
        assert [one["device_id"] for one in (await get("/v1/devices", **more)).json()["devices"]] == ["N1"]
    [record] = (await get("/v1/captures")).json()["captures"]
    assert record["device_id"] == "N1" and (await get(record["picture"])).status_code == 200
    assert (await get("/v1/captures", device_id="N1")).json()["captures"] == [record]
    assert (await get("/v1/captures", device_id="S1")).status_code == 404
    for path, params in (("/v1/captures", {"from": "2020-01-01T00:00:00Z"}), ("/v1/triggers", {})):
        for more, seen in (({}, 1), ({"group": "north"}, 1), ({"group": "south"}, 0)):
            answer = await get(path, **params, **more)
            assert answer.text.count('"device_id":"N1"') == seen and "S1" not in answer.text, (path, more, answer.text)
    for path in (
        "/v1/triggers/export",
        "/v1/slots",
        "/v1/slots/summary?by=device",
        "/v1/captures/moment?at=2026-01-01T00:00:00Z",
    ):
        answer = await cloud.client.get(path, headers=mine)
        assert answer.status_code == 200 and "S1" not in answer.text, (path, answer.text)
    assert (await get("/v1/slots/summary", by="group")).status_code == 403
    told = await events_of(cloud, mine)
    assert told and {one["device_id"] for one in told} == {"N1"}
    assert (await cloud.client.post("/v1/devices/N1/trigger", headers=mine)).status_code == 200
    assert (await cloud.client.post("/v1/devices/S1/trigger", headers=mine)).status_code == 404
    silence = {"until": cloud.time().replace(year=cloud.time().year + 1, day=1, month=1).isoformat()}
    for body, status in (({"device_id": "N1"}, 201), ({"device_id": "S1"}, 404), ({"site": "Hall"}, 403), ({}, 403)):
        answer = await cloud.client.post("/v1/silences", json={**silence, **body}, headers=mine)
        assert answer.status_code == status, (body, answer.text)
    page = (await get("/")).text
    assert "N1" in page and "S1" not in page
    assert (await get("/devices/S1")).status_code == 404 and (await get("/devices/N1")).status_code == 200
    await made(cloud, mine, "N2")
    assert [one["device_id"] for one in (await get("/v1/devices")).json()["devices"]] == ["N1", "N2"]
    async with cloud.stream("S1", south["Authorization"].removeprefix("Bearer ")) as stream:
        await stream.next()
        assert (await get("/v1/devices/connected")).json()["count"] == 0


async def test_who_is_limited_to_a_group_that_is_gone_sees_nothing(cloud: Any) -> None:
    from sqlalchemy import delete

    from visant_cloud.store.tables import device_groups

    api = await program(cloud, "default")
    await made(cloud, api, "D1")
    await grouped(cloud, "north", "D1")
    mine = await token(cloud, api, "north", "viewer", groups=["north"])
    assert (await cloud.client.get("/v1/devices", headers=mine)).json()["count"] == 1
    async with cloud.cloud.database.writing() as connection:
        await connection.execute(delete(device_groups))
    assert (await cloud.client.get("/v1/devices", headers=mine)).json()["count"] == 0
    assert (await cloud.client.get("/v1/devices/D1", headers=mine)).status_code == 404
    assert (await cloud.client.get("/v1/me", headers=mine)).json()["groups"] == []


@SQLITE
async def test_a_technician_enrols_aims_and_verifies_and_sees_no_list(cloud: Any) -> None:
    mine = await token(cloud, await program(cloud, "default"), "technician", "technician")
    device = await made(cloud, mine, "D1")
    trigger_id = (await cloud.client.post("/v1/devices/D1/trigger", headers=mine)).json()["trigger_id"]
    assert (await cloud.capture("D1", trigger_id, headers=device)).status_code == 201
    row = (await cloud.client.get(f"/v1/triggers/D1/{trigger_id}", headers=mine)).json()
    picture = await cloud.client.get(f"/v1/captures/{row['record_id']}/picture", headers=mine)
    assert picture.status_code == 200 and picture.content.startswith(b"\xff\xd8")
    for path in ("/v1/devices", "/v1/captures", "/v1/alerts", "/v1/people", "/"):
        assert (await cloud.client.get(path, headers=mine)).status_code == 403, path


async def test_a_token_expires_and_says_when_it_was_used(cloud: Any) -> None:
    api = await program(cloud, "default")
    mine = await token(cloud, api, "for a day", "viewer", days=1)

    async def shown() -> dict[str, Any]:
        await cloud.cloud.later.flush()
        rows = (await cloud.client.get("/v1/tokens", headers=api)).json()["tokens"]
        return next(dict(one) for one in rows if one["name"] == "for a day")

    assert (await shown())["last_used_at"] is None
    assert (await cloud.client.get("/v1/me", headers=mine)).json()["role"] == "viewer"
    used = (await shown())["last_used_at"]
    assert used is not None
    await cloud.client.get("/v1/me", headers=mine)
    assert (await shown())["last_used_at"] == used, "written once a minute"
    cloud.time.pass_(61)
    await cloud.client.get("/v1/me", headers=mine)
    assert (await shown())["last_used_at"] > used
    assert not (await shown())["expired"]
    cloud.time.pass_(86400)
    answer = await cloud.client.get("/v1/me", headers=mine)
    assert (answer.status_code, answer.json()["reason"]) == (401, "expired_token")
    assert "'for a day' expired on" in answer.json()["detail"] and (await shown())["expired"]


@SQLITE
async def test_what_makes_no_sense_is_refused_with_one_line(cloud: Any) -> None:
    api = await program(cloud, "default")
    await grouped(cloud, "north")
    for body, line in (
        ({"name": "x", "role": "admin", "groups": ["north"]}, "groups: an admin is for the whole organisation"),
        ({"name": "x", "role": "viewer", "groups": ["nroth"]}, "groups: there is no group 'nroth'"),
        ({"name": "x", "role": "boss"}, "role: Input should be 'viewer'"),
        ({"name": "x"}, "role: Field required"),
        ({"name": "a\nb", "role": "viewer"}, "name: String should match"),
        ({"name": "x", "role": "viewer", "days": 0}, "days: Input should be greater than 0"),
    ):
        answer = await cloud.client.post("/v1/tokens", json=body, headers=api)
        assert answer.status_code == 422 and line in answer.json()["detail"], answer.text
        if "days" not in body:
            assert (await cloud.client.post("/v1/invites", json=body, headers=api)).status_code == 422
    assert (
        await cloud.client.post("/v1/tokens", json={"name": "test", "role": "viewer"}, headers=api)
    ).status_code == 409
