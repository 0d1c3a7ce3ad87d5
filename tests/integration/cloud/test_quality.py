"""What the cloud says of pictures, from the upload to the alert, and what people and programs say to it."""

import io
from datetime import timedelta
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.integration.cloud.test_alert_rounds import Fleet
from visant_cloud import housekeeping


def picture(noise: float = 60.0) -> bytes:
    """Another one each time."""
    data = io.BytesIO()
    Image.effect_noise((160, 96), noise).convert("RGB").save(data, "JPEG")
    return data.getvalue()


async def stored(cloud: Any, image: bytes, device_id: str = "D1") -> dict[str, Any]:
    cloud.time.pass_(600)
    answer: httpx.Response = await cloud.capture(
        device_id, await cloud.trigger(device_id), image=image, captured_at=cloud.time().isoformat()
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def got(cloud: Any, path: str) -> dict[str, Any]:
    answer = await cloud.client.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_frozen_camera_is_told_in_receipt_record_health_and_alert_until_it_is_dismissed(start: Any) -> None:
    cloud = await start()
    fleet = Fleet(cloud)
    await fleet.devices("D1")
    async with cloud.stream("D1") as stream:
        await stream.next()
        same = picture()
        first, again = await stored(cloud, same), await stored(cloud, same)
        assert (first["state"], first["evaluation_status"]) == ("useful", "evaluated")
        assert (again["state"], again["score"]) == ("frozen", 0.0)
        record = await got(cloud, f"/v1/captures/{again['record_id']}")
        for name in ("state", "score", "reason", "evaluation_status"):
            assert record[name] == again[name]
        assert record["figures"]["same"] == 1.0 and len(record["figures"]["hash"]) == 16
        assert record["own_evaluation"] is None
        [cause] = [one for one in (await got(cloud, "/v1/devices/D1"))["health"]["causes"] if one["kind"] == "quality"]
        assert cause["detail"].startswith("frozen: ") and "replug" in cause["remedy"] and cause["since"]
        listed = await got(cloud, "/v1/devices")
        assert any(one["kind"] == "quality" for one in listed["devices"][0]["health"]["causes"])
        page = (await cloud.client.get("/devices/D1")).text
        assert page.count('class="tag bad verdict"') == 2, "beside the picture and in the ledger"
        await fleet.pass_(10)
        assert [one["kind"] for one in (await got(cloud, "/v1/alerts"))["alerts"]] == ["quality"]
        path = f"/v1/captures/{again['record_id']}/verdict/dismiss"
        dismissed = await cloud.client.post(path)
        assert (dismissed.status_code, dismissed.json()["state"]) == (200, "useful")
        assert "frozen" in dismissed.json()["reason"]
        assert (await cloud.client.post(path)).status_code == 409
        assert (await stored(cloud, same))["state"] == "useful", "a person said that it is normal here"
        await fleet.pass_(10)
        await fleet.pass_(700)
        assert (await got(cloud, "/v1/alerts"))["alerts"] == []


async def test_a_reference_is_kept_for_as_long_as_it_is_one(start: Any) -> None:
    cloud = await start(retention_days=30)
    await cloud.register("D1")
    kept, old = (await stored(cloud, picture()))["record_id"], (await stored(cloud, picture()))["record_id"]
    path = "/v1/devices/D1/reference"
    assert await got(cloud, path) == {"device_id": "D1", "record_id": None, "picture": None}
    answer = await cloud.client.put(path, json={"record_id": kept})
    assert answer.status_code == 200, answer.text
    assert (
        await got(cloud, path)
        == answer.json()
        == {
            "device_id": "D1",
            "record_id": kept,
            "picture": f"/v1/captures/{kept}/picture",
        }
    )
    cloud.time.pass_(40 * 86400)
    now = cloud.time()
    assert await housekeeping.remove_old(cloud.cloud, [], now) == 1
    assert (await cloud.client.get(f"/v1/captures/{old}")).status_code == 404
    assert (await cloud.client.get(f"/v1/captures/{kept}/picture")).status_code == 200
    assert (await cloud.client.delete(path)).status_code == 204
    assert await housekeeping.remove_old(cloud.cloud, [], now + timedelta(seconds=1)) == 1
    assert (await cloud.client.get(f"/v1/captures/{kept}")).status_code == 404
    assert (await got(cloud, path))["record_id"] is None


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_reference_is_a_picture_of_the_same_device(start: Any) -> None:
    cloud = await start()
    for device_id in ("D1", "D2"):
        await cloud.register(device_id)
    record = (await stored(cloud, picture(), "D2"))["record_id"]
    for wanted in (record, "0" * 32):
        assert (await cloud.client.put("/v1/devices/D1/reference", json={"record_id": wanted})).status_code == 404
    assert (await cloud.client.get("/v1/devices/D9/reference")).status_code == 404
    assert (await cloud.client.delete("/v1/devices/D9/reference")).status_code == 404


async def test_a_mask_is_kept_as_it_was_given_and_leaves_something_to_look_at(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    path = "/v1/devices/D1/mask"
    assert await got(cloud, path) == {"device_id": "D1", "polygons": [], "masked": 0.0}
    half = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
    answer = await cloud.client.put(path, json={"polygons": half})
    assert answer.status_code == 200, answer.text
    assert await got(cloud, path) == answer.json() == {"device_id": "D1", "polygons": half, "masked": 0.5}
    await stored(cloud, picture())
    assert (await got(cloud, path))["masked"] == 0.5, "a picture changes nothing of it"
    refused = await cloud.client.put(path, json={"polygons": [[[0, 0], [1, 0], [1, 1], [0, 1]]]})
    assert refused.status_code == 422 and "48 of 48" in refused.json()["detail"]
    bad: list[Any] = [[], [[[0, 0], [1, 1]]], [[[0, 0], [1, 0], [2, 1]]], [[[0, 0], [1], [1, 1]]], [half[0]] * 17, None]
    for polygons in bad:
        refused = await cloud.client.put(path, json={"polygons": polygons})
        assert refused.status_code == 422 and "polygons" in refused.json()["detail"]
    assert (await cloud.client.delete(path)).status_code == 204
    assert (await got(cloud, path))["polygons"] == []
    assert (await cloud.client.put("/v1/devices/D9/mask", json={"polygons": half})).status_code == 404


async def test_a_program_says_what_a_picture_is_and_the_clouds_own_verdict_stays_beside_it(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    record = (await stored(cloud, picture()))["record_id"]
    path = f"/v1/captures/{record}/evaluation"
    answer = await cloud.client.put(path, json={"state": "shelf_empty", "score": 0.25, "reason": "3 of 12 are there"})
    assert answer.status_code == 200, answer.text
    said = answer.json()["own_evaluation"]
    assert (said["state"], said["score"], said["reason"]) == ("shelf_empty", 0.25, "3 of 12 are there")
    assert said["evaluated_by"] == "open" and said["evaluated_at"]
    assert answer.json()["state"] == "useful"
    assert (await got(cloud, f"/v1/captures/{record}"))["own_evaluation"] == said
    assert (await cloud.client.put(path, json={"score": 1})).json()["own_evaluation"]["state"] is None
    for body in ({}, {"reason": "x"}, {"score": 1.5}, {"score": "high"}, {"state": ""}, {"stat": "x"}):
        assert (await cloud.client.put(path, json=body)).status_code == 422, body
    assert (await cloud.client.put("/v1/captures/none/evaluation", json={"score": 1})).status_code == 404
    assert (await cloud.client.post("/v1/captures/none/verdict/dismiss")).status_code == 404
