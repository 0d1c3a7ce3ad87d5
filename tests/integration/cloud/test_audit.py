"""The audit log: each change and each look is on record, and no secret is."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.integration.cloud.test_organisations import PASSWORD, made, program
from tests.integration.cloud.test_people import Person
from visant_cloud.access import credentials
from visant_cloud.access.later import MOST
from visant_cloud.housekeeping import forget_old
from visant_cloud.store import people


@pytest.fixture
async def cloud(start: Any) -> Any:
    return await start(auth="required")


async def records(cloud: Any, api: dict[str, str], **wanted: Any) -> list[dict[str, Any]]:
    answer = await cloud.client.get("/v1/audit", params=wanted, headers=api)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["records"])


async def test_a_change_says_who_from_where_what_before_and_after(cloud: Any) -> None:
    api = await program(cloud, "default")
    await made(cloud, api, "D1")
    answer = await cloud.client.patch("/v1/devices/D1", json={"site": "Hall 3", "active": True}, headers=api)
    assert answer.status_code == 200
    await cloud.client.put("/v1/devices/D1/schedule", json={"interval_seconds": 60}, headers=api)
    await cloud.client.post("/v1/devices/D1/trigger", headers=api)
    await cloud.client.post("/v1/devices/NONE/trigger", headers=api)
    # its transaction changed nothing, and was committed before that was found
    assert (await cloud.client.patch("/v1/devices/NONE", json={"site": "x"}, headers=api)).status_code == 404
    found = await records(cloud, api)
    found.sort(key=lambda one: one["at"], reverse=True)
    assert [(one["action"], one["object"], one["status"]) for one in found] == [
        ("PATCH /v1/devices/{device_id}", "NONE", 404),
        ("POST /v1/devices/{device_id}/trigger", "NONE", 404),
        ("POST /v1/devices/{device_id}/trigger", "D1", 200),
        ("PUT /v1/devices/{device_id}/schedule", "D1", 200),
        ("PATCH /v1/devices/{device_id}", "D1", 200),
        ("POST /v1/devices", "D1", 201),
    ]
    site = found[4]
    assert (site["before"], site["after"]) == ({"site": None}, {"site": "Hall 3"}), "what stays says nothing"
    assert (site["who"], site["way"], site["address"]) == ("test", "token", "127.0.0.1")
    assert (found[3]["before"], found[3]["after"]) == (None, 60)


async def test_a_change_that_cannot_be_recorded_is_not_made(cloud: Any) -> None:
    api = await program(cloud, "default")
    await made(cloud, api, "D1")
    async with cloud.cloud.database.writing() as connection:
        await connection.execute(text("ALTER TABLE audit RENAME TO elsewhere"))
    answer = await cloud.client.patch("/v1/devices/D1", json={"site": "Hall 3"}, headers=api)
    assert answer.status_code >= 500
    async with cloud.cloud.database.writing() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO audit"))
    assert (await cloud.client.get("/v1/devices/D1", headers=api)).json()["site"] is None
    [refused] = await records(cloud, api, action="PATCH /v1/devices/{device_id}")
    assert refused["status"] >= 500, "the attempt is written when that can be done again"


async def test_a_change_that_is_undone_leaves_no_record_of_success(cloud: Any) -> None:
    api = await program(cloud, "default")
    for status in (201, 409):
        answer = await cloud.client.post("/v1/tokens", json={"name": "ci", "role": "viewer"}, headers=api)
        assert answer.status_code == status
    assert [one["status"] for one in await records(cloud, api)] == [409, 201]


async def test_a_gallery_of_two_hundred_looks_is_one_transaction(cloud: Any) -> None:
    api = await program(cloud, "default")
    device = await made(cloud, api, "D1")
    record_id = (await cloud.capture("D1", "t", headers=device)).json()["record_id"]
    await cloud.cloud.later.flush()
    commits: list[Any] = []

    def committed(connection: Any) -> None:
        commits.append(connection)

    engine = cloud.cloud.database.engine.sync_engine
    event.listen(engine, "commit", committed)
    path = f"/v1/captures/{record_id}/thumbnail"
    for _ in range(10):
        answers = await asyncio.gather(*(cloud.client.get(path, headers=api) for _ in range(20)))
        assert {one.status_code for one in answers} == {200}
    assert cloud.cloud.later.waiting() == 200, "nobody waits for a commit"
    commits.clear()  # what the journal of streams wrote meanwhile
    await cloud.cloud.later.flush()
    assert len(commits) == 1
    event.remove(engine, "commit", committed)
    found = await records(cloud, api, action="GET /v1/captures/{record_id}/thumbnail", limit=1000)
    assert len(found) == 200 and {one["object"] for one in found} == {record_id}


async def test_no_secret_is_ever_on_record(cloud: Any) -> None:
    ada = Person(cloud, "Ada")
    try:
        await _no_secret_of(cloud, ada)
    finally:
        await ada.client.aclose()


async def _no_secret_of(cloud: Any, ada: Person) -> None:
    api = await program(cloud, "default")
    secrets = [PASSWORD, "another long one", "hook-secret", api["Authorization"].split()[1]]
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(connection, "default", "Ada", credentials.hash_password(PASSWORD), cloud.time())
    assert await ada.sign_in(PASSWORD) == 303
    secrets.append(ada.client.cookies["visant_session"])
    assert (await ada.call("PUT", "/v1/me/password", current=PASSWORD, new="another long one")).status_code == 204
    secrets.append((await ada.call("POST", "/v1/devices", device_id="D1")).json()["token"])
    secrets.append((await ada.call("POST", "/v1/devices/D1/token")).json()["token"])
    secrets.append((await ada.call("POST", "/v1/tokens", name="ci", role="viewer")).json()["token"])
    link = (await ada.call("POST", "/v1/invites", name="Bob", role="viewer")).json()["link"]
    code = link.partition("code=")[2]
    secrets.append(code)
    hook = {"type": "webhook", "name": "x", "target": "https://x.example/hook-secret"}
    channel = (await ada.call("POST", "/v1/channels", **hook)).json()
    secrets.append(channel["secret"])
    path = f"/v1/channels/{channel['channel_id']}"
    assert (await ada.call("PATCH", path, target="https://y.example/hook-secret")).status_code == 200
    secrets.append((await ada.call("POST", f"{path}/secret")).json()["secret"])
    form = {"code": code, "password": PASSWORD, "again": PASSWORD}
    assert (await cloud.client.post("/invite", data=form)).status_code == 303
    assert (await ada.call("DELETE", path)).status_code == 204
    said = json.dumps(await records(cloud, api, limit=1000))
    assert "POST /v1/channels/{channel_id}/secret" in said and "POST /sign-in" in said and "POST /invite" in said
    for secret in secrets:
        assert secret and secret not in said


async def test_the_log_is_filtered_paged_exported_and_forgotten(cloud: Any) -> None:
    api = await program(cloud, "default")
    for number in range(5):
        await made(cloud, api, f"D{number}")
    border = cloud.time()
    cloud.time.pass_(3600)
    await cloud.client.patch("/v1/devices/D1", json={"site": "Hall"}, headers=api)
    first = (await cloud.client.get("/v1/audit", params={"limit": 4}, headers=api)).json()
    rest = await records(cloud, api, limit=4, before=first["next_before"])
    assert [one["object"] for one in first["records"] + rest] == ["D1", "D4", "D3", "D2", "D1", "D0"]
    assert [one["action"] for one in await records(cloud, api, object="D1")] == [
        "PATCH /v1/devices/{device_id}",
        "POST /v1/devices",
    ]
    assert len(await records(cloud, api, until=border.isoformat())) == 5
    assert len(await records(cloud, api, since=border.isoformat(), who="test")) == 1
    assert await records(cloud, api, who="nobody") == []
    for wrong in (
        {"since": "yesterday"},
        {"until": "0.5"},
        {"since": "2026-11-30T07:00:00"},
        {"before": 0},
        {"limit": 0},
    ):
        assert (await cloud.client.get("/v1/audit", params=wrong, headers=api)).status_code == 422, wrong
    export = await cloud.client.get("/v1/audit/export", headers=api)
    assert export.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in export.text.splitlines()]
    assert [one["object"] for one in lines] == ["D1", "D4", "D3", "D2", "D1", "D0"]
    assert (await records(cloud, api))[0]["action"] == "GET /v1/audit/export"
    await forget_old(cloud.cloud, cloud.time() + (cloud.time() - border) / 2)
    assert len(await records(cloud, api)) == 7, "none is old"
    await forget_old(cloud.cloud, cloud.time() + timedelta(days=cloud.cloud.settings.audit_days, seconds=-1800))
    assert len(await records(cloud, api)) == 2, "those of the last hour"


async def test_what_waits_for_a_database_that_is_away_is_bounded_and_kept(cloud: Any) -> None:
    api = await program(cloud, "default")
    later = cloud.cloud.later
    row = {
        "organisation_id": "default", "at": cloud.time(), "who": "x", "way": "token", "address": None,
        "action": "GET x", "object": "", "status": 200, "before": None, "after": None,
    }  # fmt: skip
    async with cloud.cloud.database.writing() as connection:
        await connection.execute(text("ALTER TABLE audit RENAME TO elsewhere"))
    for _ in range(3):
        later.record(row)
    with pytest.raises(Exception, match="audit"):
        await later.flush()
    for _ in range(MOST):
        later.record(row)
    assert later.waiting() == MOST
    async with cloud.cloud.database.writing() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO audit"))
    await later.flush()
    assert later.waiting() == 0
    assert len(await records(cloud, api, who="x", limit=1000)) == 1000
