"""Adding devices: codes by the batch, with labels, and how far the device of each is."""

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.cloud.test_organisations import program
from visant_cloud.housekeeping import forget_old
from visant_cloud.views import enrol_labels


@pytest.fixture
async def cloud(start: Any) -> Any:
    running = await start(auth="required")
    running.client.headers.update(await program(running, "default"))
    return running


async def enrol(cloud: Any, code: str, device_id: str | None = None) -> Any:
    return await cloud.client.post("/v1/enrol", json={"code": code, "device_id": device_id})


async def states(cloud: Any, batch_id: int) -> list[str]:
    shown = (await cloud.client.get(f"/v1/enrol-batches/{batch_id}")).json()
    return [code["state"] for code in shown["codes"]]


async def test_a_batch_is_followed_from_its_codes_to_the_first_pictures(cloud: Any) -> None:
    await cloud.client.post("/v1/groups", json={"name": "Süd"})
    whom = [{"device_id": "D1", "name": "Tür 1"}, {"name": "Tür 2"}, {}, {}]
    body = {"title": "Halle 4", "group": "Süd", "devices": whom}
    made = (await cloud.client.post("/v1/enrol-batches", json=body)).json()
    batch_id, codes = made["batch_id"], [one["code"] for one in made["codes"]]
    assert await states(cloud, batch_id) == ["unused"] * 4 and len(set(codes)) == 4
    mine = {"Authorization": f"Bearer {(await enrol(cloud, codes[0])).json()['token']}"}
    assert (await enrol(cloud, codes[1], "D2")).status_code == 201
    assert await states(cloud, batch_id) == ["code used", "code used", "unused", "unused"]
    async with cloud.stream("D1", mine["Authorization"].removeprefix("Bearer ")) as stream:
        await stream.next()
    assert await states(cloud, batch_id) == ["connected", "code used", "unused", "unused"]
    assert (await cloud.capture("D1", "t", headers=mine)).status_code == 201
    assert await states(cloud, batch_id) == ["first picture", "code used", "unused", "unused"]
    listed = (await cloud.client.get("/v1/devices", params={"filter": "group:süd name~tür"})).json()
    assert [(one["device_id"], one["name"]) for one in listed["devices"]] == [("D1", "Tür 1"), ("D2", "Tür 2")]
    assert (await cloud.client.delete(f"/v1/enrol-batches/{batch_id}/codes/3")).status_code == 204
    refused = await enrol(cloud, codes[2], "D3")
    assert refused.status_code == 403 and "was revoked" in refused.json()["detail"]
    assert (await cloud.client.delete(f"/v1/enrol-batches/{batch_id}/codes/9")).status_code == 404
    cloud.time.pass_(7 * 86400 + 1)
    assert await states(cloud, batch_id) == ["first picture", "code used", "revoked", "expired"]
    (row,) = (await cloud.client.get("/v1/enrol-batches")).json()["batches"]
    assert row["states"] == {"first picture": 1, "code used": 1, "revoked": 1, "expired": 1} and row["group"] == "Süd"
    await forget_old(cloud.cloud, cloud.time() + timedelta(days=89))
    assert await states(cloud, batch_id) == ["first picture", "code used", "revoked", "expired"], "longer than one code"
    await forget_old(cloud.cloud, cloud.time() + timedelta(days=91))
    assert (await cloud.client.get(f"/v1/enrol-batches/{batch_id}")).status_code == 404


async def test_labels_carry_new_codes_and_nothing_that_a_browser_would_run(cloud: Any) -> None:
    whom = [{"name": "<script>alert(1)</script>"}, {"device_id": "D2"}, {}]
    made = (await cloud.client.post("/v1/enrol-batches", json={"title": "</style><b>x", "devices": whom})).json()
    told = [one["code"] for one in made["codes"]]
    assert (await enrol(cloud, told[2], "D3")).status_code == 201
    sheet = await cloud.client.post(f"/v1/enrol-batches/{made['batch_id']}/labels")
    assert sheet.status_code == 200 and sheet.headers["content-type"].startswith("text/html")
    policy = sheet.headers["content-security-policy"]
    assert (
        policy == enrol_labels.POLICY
        and "default-src 'none'" in policy
        and sheet.headers["cache-control"] == "no-store"
    )
    assert "<script" not in sheet.text and "<b>x" not in sheet.text and "&lt;script&gt;" in sheet.text
    assert sheet.text.count("<svg") == 2 and "src=" not in sheet.text and "href=" not in sheet.text
    printed = re.findall(r"<code>([A-Z0-9]{5}-[A-Z0-9]{5})</code>", sheet.text)
    assert len(printed) == 2 and not set(printed) & set(told)
    assert (await enrol(cloud, told[1])).status_code == 403, "what was told before is worthless"
    assert (await enrol(cloud, printed[1])).json()["device_id"] == "D2"
    assert (await cloud.client.delete(f"/v1/enrol-batches/{made['batch_id']}")).status_code == 204
    assert (await enrol(cloud, printed[0], "D1")).status_code == 403
    nothing = await cloud.client.post(f"/v1/enrol-batches/{made['batch_id']}/labels")
    assert nothing.status_code == 409 and "make a new batch" in nothing.json()["detail"]


async def test_a_batch_that_cannot_be_meant_is_refused_in_one_line(cloud: Any) -> None:
    known = (await cloud.client.post("/v1/enrol-batches", json={"title": "x", "devices": [{"device_id": "D1"}]})).json()
    token = (await enrol(cloud, known["codes"][0]["code"])).json()["token"]
    async with cloud.stream("D1", token) as stream:
        await stream.next()
    for body, status, said in (
        ({"title": "x"}, 422, "name either count or devices"),
        ({"title": "x", "count": 1, "devices": [{}]}, 422, "and not both"),
        ({"title": "x", "count": 501}, 422, "count"),
        ({"title": "x", "devices": [{"device_id": "A"}, {"device_id": "A"}]}, 422, "'A' is there twice"),
        ({"title": "x", "devices": [{"name": "a\nb"}]}, 422, "control character"),
        ({"title": "x", "count": 1, "group": "none"}, 422, "there is no group 'none'"),
        ({"title": "x", "count": 1, "hours": 0}, 422, "hours"),
        ({"title": "x", "devices": [{"device_id": "D1"}]}, 409, "/v1/devices/D1/replacement"),
    ):
        answer = await cloud.client.post("/v1/enrol-batches", json=body)
        assert answer.status_code == status and said in answer.json()["detail"], answer.text
        assert "\n" not in answer.json()["detail"]
    assert len((await cloud.client.get("/v1/enrol-batches")).json()["batches"]) == 1
    assert len((await cloud.client.post("/v1/enrol-batches", json={"title": "x", "count": 500})).json()["codes"]) == 500


async def test_a_replacement_is_the_device_from_then_on(cloud: Any) -> None:
    token = (await cloud.client.post("/v1/devices", json={"device_id": "D1"})).json()["token"]
    async with cloud.stream("D1", token) as stream:
        await stream.next()
        code = (await cloud.client.post("/v1/devices/D1/replacement")).json()["code"]
        assert (await enrol(cloud, code)).json()["device_id"] == "D1"
        assert await stream.ended()
    old = await cloud.client.get("/v1/devices/D1/commands", headers={"Authorization": f"Bearer {token}"})
    assert old.status_code == 401
    assert (await cloud.client.post("/v1/devices/NOBODY/replacement")).status_code == 404
