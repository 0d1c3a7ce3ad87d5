"""The aiming page and its live preview, without a network."""

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.unit.camera.conftest import Rig, ScriptedDriver, Web
from visant_camera.desired_settings import DesiredSettings
from visant_camera.http.aiming import aiming_routes
from visant_camera.http.aiming.stream import Viewers
from visant_camera.http.app import make_app
from visant_runtime.lifecycle import Stop


async def test_the_aiming_page_needs_nothing_from_elsewhere(web: Web) -> None:
    page = (await web.get("/")).text
    assert "http://" not in page
    assert "https://" not in page
    assert 'name="viewport"' in page


async def test_who_asks_for_the_previews_head_gets_it_and_is_no_viewer(web: Web) -> None:
    async with asyncio.timeout(3):
        answers = [await web.head("/stream") for _ in range(3)]
    assert {one.status_code for one in answers} == {200}
    assert all(one.headers["content-type"].startswith("multipart/x-mixed-replace") for one in answers)


async def _frames(viewers: Any, count: Any) -> Any:
    return [jpeg async for jpeg in _first(viewers.pictures(15), count)]


async def _first(source: Any, count: Any) -> Any:
    async for one in source:
        yield one
        count -= 1
        if not count:
            return


async def test_the_preview_shows_ever_newer_frames(rig: Rig) -> None:
    frames = await _frames(Viewers(rig.latest, Stop()), 4)
    assert len(set(frames)) == 4


async def test_the_preview_keeps_to_its_frame_rate(rig: Rig) -> None:
    begin = time.monotonic()
    await _frames(Viewers(rig.latest, Stop()), 6)
    assert time.monotonic() - begin >= 5 * 0.9 / 15


async def test_the_preview_ends_by_itself(rig: Rig) -> None:
    viewers = Viewers(rig.latest, Stop(), longest=0.3)
    async with asyncio.timeout(3):
        frames = [jpeg async for jpeg in viewers.pictures(15)]
    assert frames


async def test_the_preview_ends_with_the_service_also_while_no_frame_comes(rig: Rig, driver: ScriptedDriver) -> None:
    driver.present = False
    stop = Stop()
    watching = asyncio.create_task(_frames(Viewers(rig.latest, stop), 99))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(3):
        await watching


async def test_a_preview_never_shows_what_was_taken_before_somebody_looked(rig: Rig, driver: ScriptedDriver) -> None:
    await rig.snapshots.take(max_age=1.0, timeout=1)
    driver.present = False
    rig.until("camera_absent")
    await asyncio.sleep(0.3)
    assert [jpeg async for jpeg in Viewers(rig.latest, Stop(), longest=0.2).pictures(15)] == []


async def test_a_third_viewer_is_turned_away_and_a_left_place_is_free_again(web: Web, rig: Rig, tmp_path: Path) -> None:
    viewers = Viewers(rig.latest, Stop())
    app = make_app(rig.snapshots, rig.health, DesiredSettings(tmp_path), aiming_routes(viewers))
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

    def __init__(self, app: Any) -> None:
        self._status = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": "/stream", "query_string": b"", "headers": []}
        self._running = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status.set_result(message["status"])

    async def started(self) -> Any:
        return await self._status

    async def left(self) -> None:
        self._gone.set()
        async with asyncio.timeout(2):
            await self._running
