"""The HTTP interface, without a network."""

import asyncio
import time
from datetime import datetime

import pytest

from tests.unit.camera.conftest import Rig, ScriptedDriver, Web
from visant_contract.snapshot import CAPTURED_BOOTTIME, HEIGHT, SEQUENCE, WIDTH, SnapshotInfo


async def test_a_snapshot_tells_its_time_sequence_and_size(web: Web) -> None:
    asked = time.clock_gettime(time.CLOCK_BOOTTIME)
    answer = await web.get("/snapshot")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert float(answer.headers["x-captured-boottime"]) >= asked
    assert int(answer.headers["x-sequence"]) > 0
    assert (answer.headers["x-width"], answer.headers["x-height"]) == ("4", "2")
    assert abs(datetime.fromisoformat(answer.headers["x-captured-at"]).timestamp() - time.time()) < 2
    assert answer.content.startswith(b"\xff\xd8")
    read = SnapshotInfo(
        captured_boottime=answer.headers[CAPTURED_BOOTTIME],
        sequence=answer.headers[SEQUENCE],
        width=answer.headers[WIDTH],
        height=answer.headers[HEIGHT],
    )
    written = {name.lower(): value for name, value in read.headers().items()}
    assert written.items() <= answer.headers.items(), "to the letter as the contract writes it"


@pytest.mark.parametrize(
    "query", ["timeout_ms=0", "timeout_ms=30001", "timeout_ms=x", "timeout_ms=-1", "timeout_ms=", "max_age_ms=60001"]
)
async def test_a_query_out_of_range_is_refused_with_the_range(web: Web, query: str) -> None:
    answer = await web.get(f"/snapshot?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "it must be a whole number from" in answer.json()["detail"]


async def test_no_frame_in_time_is_503_with_the_reason_and_never_a_picture(web: Web, driver: ScriptedDriver) -> None:
    driver.present = False
    began = time.monotonic()
    answer = await web.get("/snapshot?timeout_ms=300")
    assert 0.3 <= time.monotonic() - began < 1
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["reason"] == "camera_absent"
    assert "unplugged" in answer.json()["detail"]


async def test_who_only_asks_for_the_head_gets_the_head(web: Web) -> None:
    answer = await web.head("/snapshot")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert int(answer.headers["content-length"]) > 0


async def test_who_waits_when_the_service_ends_is_told_at_once(web: Web, rig: Rig, driver: ScriptedDriver) -> None:
    driver.sending = False
    asking = asyncio.create_task(web.get("/snapshot?timeout_ms=30000"))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    rig.latest.end()
    answer = await asking
    assert time.monotonic() - began < 1
    assert (answer.status_code, answer.json()["reason"]) == (503, "camera_starting")
    assert "being stopped" in answer.json()["detail"]
    assert (await web.get("/snapshot?timeout_ms=30000")).status_code == 503, "and nobody waits anew"


async def test_the_state_says_what_was_negotiated(web: Web) -> None:
    state = (await web.get("/state")).json()
    assert state["state"] == "ok"
    assert (state["width"], state["height"], state["name"]) == (4, 2, "Scripted")
    assert state["refusals"] == ["size 8x8: got 4x2"]


async def test_the_state_of_an_absent_camera_names_the_remedy(web: Web, rig: Rig, driver: ScriptedDriver) -> None:
    driver.present = False
    rig.until("camera_absent")
    state = (await web.get("/state")).json()
    assert state["state"] == "camera_absent"
    assert state["remedy"].startswith("Plug the camera in")
    assert state["last_error"].startswith("camera_absent: it ")
    assert state["last_error_at"]


async def test_metrics_count_frames_and_answers(web: Web) -> None:
    await web.get("/snapshot")
    text = (await web.get("/metrics")).text
    assert "visant_camera_up 1.0" in text
    assert 'visant_camera_snapshots_total{outcome="picture"}' in text


async def test_controls_are_listed_set_and_kept(web: Web, driver: ScriptedDriver) -> None:
    assert (await web.get("/controls")).json()["controls"][0]["value"] == 0
    answer = await web.patch("/controls", json={"brightness": 7})
    assert answer.status_code == 200
    assert answer.json()["controls"][0]["value"] == 7
    assert answer.json()["kept"] is True
    assert web.saved.of("Scripted") == {"brightness": 7}
    await web.patch("/controls", json={"brightness": None})
    assert driver.settable["brightness"].value == 0
    assert web.saved.of("Scripted") == {}


async def test_a_control_out_of_range_is_refused_and_nothing_is_set(web: Web, driver: ScriptedDriver) -> None:
    answer = await web.patch("/controls", json={"brightness": 100})
    assert answer.status_code == 422
    assert "from -64 to 64" in answer.json()["detail"]
    assert driver.history == []
    assert (await web.patch("/controls", content=b"nonsense")).status_code == 422


async def test_a_value_the_camera_refuses_is_a_conflict_and_not_kept(web: Web, driver: ScriptedDriver) -> None:
    driver.refusing = True
    answer = await web.patch("/controls", json={"brightness": 7})
    assert answer.status_code == 409
    assert "inactive" in answer.json()["detail"]
    assert web.saved.of("Scripted") == {}


async def test_controls_of_an_absent_camera_are_unavailable(web: Web, rig: Rig, driver: ScriptedDriver) -> None:
    driver.present = False
    rig.until("camera_absent")
    answer = await web.get("/controls")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "camera_absent"


async def test_unknown_paths_and_methods_are_problems_too(web: Web) -> None:
    answer = await web.get("/nothing")
    assert answer.status_code == 404
    assert answer.json()["title"] == "Not Found"
    answer = await web.post("/snapshot")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_larger_than_any_wish_is_refused(web: Web) -> None:
    answer = await web.patch("/controls", content=b" " * 70_000)
    assert answer.status_code == 413
    assert "at most 65536 bytes" in answer.json()["detail"]


async def test_faults_are_set_and_shown(web: Web) -> None:
    answer = await web.post("/fake/faults", json={"fault": "frozen", "seconds": 60})
    assert answer.json()["fault"] == "frozen"
    assert (await web.get("/fake/faults")).json()["fault"] == "frozen"
    assert (await web.post("/fake/faults", json={"fault": "fire"})).status_code == 422
    assert (await web.post("/fake/faults", content=b"")).status_code == 422
