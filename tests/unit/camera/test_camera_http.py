"""The HTTP interface, without a network."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Message

from tests.unit.camera.conftest import MakeRig, Rig, ScriptedDriver, Until
from visant_camera.control_values import SavedValues
from visant_camera.drivers.base import Control
from visant_camera.drivers.fake.faults import Faults
from visant_camera.http.aiming import aiming_routes
from visant_camera.http.aiming.stream import Viewers
from visant_camera.http.app import fault_routes, make_app
from visant_camera.http.controls import Controls, reapply
from visant_contract.snapshot import CAPTURED_BOOTTIME, HEIGHT, SEQUENCE, WIDTH, SnapshotInfo
from visant_runtime.lifecycle import Stop

BRIGHTNESS = Control("brightness", "integer", -64, 64, 1, 0, 0)


class Web(httpx.AsyncClient):
    """A client of the whole app; `saved` are the kept controls."""

    saved: SavedValues


@pytest.fixture
async def web(rig: Rig, driver: ScriptedDriver, tmp_path: Path) -> AsyncIterator[Web]:
    driver.settable = {"brightness": BRIGHTNESS}
    saved = SavedValues(tmp_path)
    routes = [
        *Controls(rig.grabber, saved).routes(),
        *aiming_routes(Viewers(rig.waiting, Stop())),
        *fault_routes(Faults()),
    ]
    app = make_app(rig.snapshots, rig.condition, routes)
    async with Web(transport=httpx.ASGITransport(app), base_url="http://camera") as client:
        client.saved = saved
        yield client


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
    rig.waiting.end()
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


def test_kept_controls_are_set_again_after_each_open(
    make_rig: MakeRig, driver: ScriptedDriver, tmp_path: Path, until: Until
) -> None:
    driver.settable = {"brightness": BRIGHTNESS}
    saved = SavedValues(tmp_path)
    saved.update("Scripted", {"brightness": 9, "gone_with_the_old_camera": 1})
    rig = make_rig(on_open=reapply(saved))
    rig.until("ok")
    assert driver.history == [("brightness", 9)]
    driver.present = False
    rig.until("camera_absent")
    driver.present = True
    rig.until("ok")
    assert driver.history == [("brightness", 9)] * 2


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


async def test_the_aiming_page_needs_nothing_from_elsewhere(web: Web) -> None:
    page = (await web.get("/")).text
    assert "http://" not in page
    assert "https://" not in page
    assert 'name="viewport"' in page


async def _frames(viewers: Viewers, count: int) -> list[bytes]:
    return [jpeg async for jpeg in _first(viewers.pictures(15), count)]


async def _first(source: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    async for one in source:
        yield one
        count -= 1
        if not count:
            return


async def test_the_preview_shows_ever_newer_frames(rig: Rig) -> None:
    frames = await _frames(Viewers(rig.waiting, Stop()), 4)
    assert len(set(frames)) == 4


async def test_the_preview_keeps_to_its_frame_rate(rig: Rig) -> None:
    begin = time.monotonic()
    await _frames(Viewers(rig.waiting, Stop()), 6)
    assert time.monotonic() - begin >= 5 * 0.9 / 15


async def test_the_preview_ends_by_itself(rig: Rig) -> None:
    viewers = Viewers(rig.waiting, Stop(), longest=0.3)
    async with asyncio.timeout(3):
        frames = [jpeg async for jpeg in viewers.pictures(15)]
    assert frames


async def test_the_preview_ends_with_the_service_also_while_no_frame_comes(rig: Rig, driver: ScriptedDriver) -> None:
    driver.present = False
    stop = Stop()
    watching = asyncio.create_task(_frames(Viewers(rig.waiting, stop), 99))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(3):
        await watching


async def test_a_preview_never_shows_what_was_taken_before_somebody_looked(rig: Rig, driver: ScriptedDriver) -> None:
    await rig.snapshots.take(max_age=1.0, timeout=1)
    driver.present = False
    rig.until("camera_absent")
    await asyncio.sleep(0.3)
    assert [jpeg async for jpeg in Viewers(rig.waiting, Stop(), longest=0.2).pictures(15)] == []


async def test_a_third_viewer_is_turned_away_and_a_left_place_is_free_again(web: Web, rig: Rig) -> None:
    viewers = Viewers(rig.waiting, Stop())
    app = make_app(rig.snapshots, rig.condition, aiming_routes(viewers))
    first, second = [_Viewer(app) for _ in range(2)]
    await first.started()
    await second.started()
    third = _Viewer(app)
    assert await third.started() == 503
    await third.left()
    await second.left()
    fourth = _Viewer(app)
    assert await fourth.started() == 200
    await fourth.left()
    await first.left()


class _Viewer:
    """A browser's end of `/stream` that can go away."""

    def __init__(self, app: ASGIApp) -> None:
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": "/stream", "query_string": b"", "headers": []}
        self._running: asyncio.Future[None] = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status.set_result(message["status"])

    async def started(self) -> int:
        return await self._status

    async def left(self) -> None:
        self._gone.set()
        async with asyncio.timeout(2):
            await self._running
