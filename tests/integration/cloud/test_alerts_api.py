"""Alerts over the API: a device's health, sites, acknowledging, silences, rules, pages."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.cloud.test_alert_rounds import DEAD, Fleet, numbered
from visant_cloud.alerts import rounds

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the queries: test_alert_rounds, on both


async def got(cloud: Any, path: str, **query: Any) -> dict[str, Any]:
    answer = await cloud.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_dead_camera_is_red_as_soon_as_the_device_says_so_and_says_since_when_and_what_to_do(
    start: Any,
) -> None:
    cloud = await start()
    await cloud.register("D1")
    told = {"device_version": "2", "camera": {"state": "camera_absent"}, "state": "degraded", "reasons": ["camera: x"]}
    assert (await got(cloud, "/v1/devices/D1"))["health"] == {"state": "ok", "since": None, "causes": []}
    assert (await cloud.client.post("/v1/devices/D1/telemetry", json=told)).status_code == 204
    found = await got(cloud, "/v1/devices/D1")
    assert found["state"] == "offline", "what old programs read stays as it was"
    [cause] = found["health"]["causes"]
    assert (found["health"]["state"], cause["kind"], cause["detail"]) == ("degraded", "camera", "camera_absent")
    assert "Plug the camera in" in cause["remedy"]
    cloud.time.pass_(100)
    found = await got(cloud, "/v1/devices/D1")
    assert found["health"]["state"] == "silent" and found["health"]["since"] == found["last_seen_at"]
    await cloud.client.patch("/v1/devices/D1", json={"active": False})
    listed = await got(cloud, "/v1/devices")
    assert [one["health"]["state"] for one in listed["devices"]] == ["suspended"]
    await cloud.client.post("/v1/devices", json={"device_id": "NEW"})
    assert (await got(cloud, "/v1/devices/NEW"))["health"]["state"] == "never_connected"


async def test_health_is_as_old_as_the_alert(start: Any) -> None:
    cloud = await start()
    fleet = Fleet(cloud)
    await fleet.devices("D1")
    await fleet.say("D1", {**DEAD, "temperature": 95.0})
    await fleet.pass_(700)
    [alert] = [one for one in (await got(cloud, "/v1/alerts"))["alerts"] if one["kind"] == "heat"]
    await fleet.say("D1", {**DEAD, "temperature": 95.0})
    causes = {one["kind"]: one for one in (await got(cloud, "/v1/devices/D1"))["health"]["causes"]}
    assert causes["heat"]["since"] == (alert["since"] or alert["opened_at"])


async def test_a_device_gets_a_site_and_keeps_its_stream(start: Any) -> None:
    cloud = await start()
    async with cloud.stream("D1") as stream:
        await stream.next()
        answer = await cloud.client.patch("/v1/devices/D1", json={"site": " Hall 3 "})
        assert answer.json()["site"] == "Hall 3" and cloud.cloud.hub.subscribers("D1") == 1
        assert not cloud.cloud.hub.subscriptions()[0].closed
    assert (await cloud.client.patch("/v1/devices/D1", json={"site": ""})).json()["site"] is None
    for wrong in ("a\nb", "x" * 101):
        assert (await cloud.client.patch("/v1/devices/D1", json={"site": wrong})).status_code == 422


async def test_alerts_are_paged_filtered_and_acknowledged(start: Any) -> None:
    cloud = await start()
    fleet = Fleet(cloud)
    await fleet.devices(*numbered(5), site="Hall 3")
    await fleet.devices("D06")
    for name in numbered(6):
        await fleet.say(name, DEAD)
    await fleet.pass_(120)
    first = await got(cloud, "/v1/alerts", limit=4)
    rest = await got(cloud, "/v1/alerts", limit=4, before=first["next_before"])
    assert sorted(one["device_id"] for one in first["alerts"] + rest["alerts"]) == numbered(6)
    assert rest["next_before"] is None
    assert len((await got(cloud, "/v1/alerts", site="Hall 3", kind="camera"))["alerts"]) == 5
    assert 'visant_alerts{kind="camera"} 6.0' in (await cloud.client.get("/metrics")).text
    assert (await got(cloud, "/v1/alerts", device_id="D06", state="cleared"))["alerts"] == []
    [one] = (await got(cloud, "/v1/alerts", device_id="D06"))["alerts"]
    path = f"/v1/alerts/{one['alert_id']}"
    answer = await cloud.client.post(f"{path}/acknowledge", json={"note": "on my way"})
    assert answer.json()["acknowledged_by"] == "open" and answer.json()["note"] == "on my way"
    shown = await got(cloud, path)
    assert shown["acknowledged_at"] and shown["cleared_at"] is None, "seen and over are two things"
    for wrong, refusal in ((10**30, (422, "invalid")), (0, (422, "invalid")), (99, (404, "unknown_alert"))):
        answer = await cloud.client.post(f"/v1/alerts/{wrong}/acknowledge")
        assert (answer.status_code, answer.json()["reason"]) == refusal


async def test_silences_are_made_listed_and_ended(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    until = (cloud.time() + timedelta(hours=1)).isoformat()
    answer = await cloud.client.post("/v1/silences", json={"device_id": "D1", "kind": "camera", "until": until})
    assert answer.status_code == 201, answer.text
    [one] = (await got(cloud, "/v1/silences"))["silences"]
    assert (one["device_id"], one["kind"], one["site"]) == ("D1", "camera", None)
    for body, status, said in (
        ({"until": "2020-01-01T00:00:00Z"}, 422, "until: a time after now"),
        ({"until": "2026-01-01T00:00:00"}, 422, "until"),
        ({"until": until, "kind": "cold"}, 422, "no kind of alert"),
        ({"until": until, "device_id": "NOBODY"}, 404, "unknown"),
    ):
        answer = await cloud.client.post("/v1/silences", json=body)
        assert answer.status_code == status and said in answer.json()["detail"], answer.text
    assert (await cloud.client.delete(f"/v1/silences/{one['silence_id']}")).status_code == 204
    assert (await cloud.client.delete(f"/v1/silences/{one['silence_id']}")).status_code == 404


async def test_rules_are_read_and_written_whole_and_bad_ones_are_one_line(start: Any) -> None:
    cloud = await start()
    assert (await got(cloud, "/v1/alerts/rules"))["failures_in_a_row"] == 3
    wanted = {
        "off": ["heat"],
        "hold": {"silent": 600},
        "quiet_hours": {"begin": "22:00", "end": "06:30", "zone": "Europe/Berlin"},
        "daily_summary": {"at": "07:00"},
    }
    answer = await cloud.client.put("/v1/alerts/rules", json=wanted)
    assert answer.status_code == 200, answer.text
    found = await got(cloud, "/v1/alerts/rules")
    assert found["hold"] == {"silent": 600.0} and found["quiet_hours"]["zone"] == "Europe/Berlin"
    assert "camera" in {one["kind"] for one in (await got(cloud, "/v1/alerts/kinds"))["kinds"]}
    for body, said in (
        ({"off": ["cold"]}, "off.0: Value error, 'cold' is no kind of alert: one of silent, camera"),
        ({"hold": {"silent": -1}}, "hold.silent"),
        ({"quiet_hours": {"begin": "22:00", "end": "6", "zone": "Mars"}}, "no time zone"),
        ({"failures": 3}, "failures"),
    ):
        answer = await cloud.client.put("/v1/alerts/rules", json=body)
        assert answer.status_code == 422 and said in answer.json()["detail"], answer.text
    assert await got(cloud, "/v1/alerts/rules") == found


async def test_metrics_count_devices_by_their_health_and_say_nothing_where_nobody_looks(start: Any) -> None:
    cloud = await start()
    fleet = Fleet(cloud)
    assert "visant_devices" not in (await cloud.client.get("/metrics")).text
    await fleet.devices(*numbered(3))
    for name in ("NEW", "BARRED"):
        await cloud.client.post("/v1/devices", json={"device_id": name})
    await cloud.client.patch("/v1/devices/BARRED", json={"active": False})
    await fleet.say("D01", DEAD)
    await fleet.pass_(rounds.COUNT_EVERY, 5)

    async def counted() -> dict[str, float]:
        lines = (await cloud.client.get("/metrics")).text.splitlines()
        return {line.split('"')[1]: float(line.split()[-1]) for line in lines if line.startswith("visant_devices{")}

    here = {"ok": 2, "degraded": 1, "silent": 0, "never_connected": 1, "suspended": 1}
    assert await counted() == here
    fleet.cut("D02")
    await fleet.pass_(120, 5)
    assert await counted() == {**here, "ok": 1, "silent": 1}
    listed = (await got(cloud, "/v1/devices"))["devices"]
    assert Counter(one["health"]["state"] for one in listed) == +Counter(await counted())
    await fleet.pass_(600, 60)
    assert await counted() == {**here, "ok": 1, "silent": 1}, "what stays so is told again"
    cloud.time.pass_(200)
    assert await counted() == {}, "a count of minutes ago is no count"
