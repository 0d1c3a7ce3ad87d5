"""The thread that owns the camera: warm-up, idle, stall, unplug, replug."""

import threading
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.not_none import not_none
from tests.unit.camera.conftest import MakeRig, Rig, ScriptedDriver, Until
from visant_camera.drivers.base import CameraAbsent
from visant_camera.grabber import PATIENT_STARTS, REOPEN_MAX, reopen_delay
from visant_runtime.health import health
from visant_runtime.heartbeat import Heartbeat


async def test_the_first_frames_after_each_open_are_discarded(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    rig = make_rig(warmup=5)
    picture, _ = await rig.snapshots.take(max_age=None, timeout=2)
    assert picture.frame.sequence > 5
    driver.present = False
    rig.until("camera_absent")
    before = driver.frames
    driver.present = True
    picture, _ = await rig.snapshots.take(max_age=None, timeout=3)
    assert picture.frame.sequence > before + 5


def test_nothing_is_copied_while_nobody_asks(rig: Rig, driver: ScriptedDriver, until: Until) -> None:
    begin = driver.frames
    until(lambda: driver.frames > begin + 20)
    assert driver.copies == 0
    assert rig.health.state().idle


async def test_after_a_fresh_picture_draining_goes_on_without_copies(
    rig: Rig, driver: ScriptedDriver, until: Until
) -> None:
    await rig.snapshots.take(max_age=None, timeout=1)
    copies, begin = driver.copies, driver.frames
    until(lambda: driver.frames > begin + 20)
    assert driver.copies <= copies + 1


async def test_frames_are_copied_for_a_while_after_somebody_took_an_older_one(
    make_rig: MakeRig, driver: ScriptedDriver, until: Until
) -> None:
    rig = make_rig(idle_after=0.3)
    rig.until("ok")
    await rig.snapshots.take(max_age=0.5, timeout=1)
    copies = driver.copies
    until(lambda: driver.copies > copies + 5)
    until(lambda: rig.health.state().idle)
    copies, begin = driver.copies, driver.frames
    until(lambda: driver.frames > begin + 10)
    assert driver.copies == copies


async def test_a_picture_after_idling_is_as_fresh_as_any(
    make_rig: MakeRig, driver: ScriptedDriver, until: Until
) -> None:
    rig = make_rig(idle_after=0.05)
    rig.until("ok")
    await rig.snapshots.take(max_age=0.5, timeout=1)
    until(lambda: rig.health.state().idle)
    asked = time.monotonic()
    picture, _ = await rig.snapshots.take(max_age=None, timeout=1)
    assert picture.exposed.monotonic >= asked


def test_an_unplugged_camera_is_closed_at_once_and_said(rig: Rig, driver: ScriptedDriver, until: Until) -> None:
    driver.present = False
    gone = datetime.now(UTC)
    rig.until("camera_absent")
    assert (not_none(rig.health.state().last_error_at) - gone).total_seconds() < 2
    until(lambda: driver.closes >= driver.opens)
    assert rig.health.state().detail in ("it was unplugged", "it is unplugged")
    assert rig.health.state().width is None


def test_a_stall_is_said_within_two_seconds_with_the_default_setting(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    rig = make_rig(stall_after=1.5)
    rig.until("ok")
    driver.sending = False
    stopped = datetime.now(UTC)
    rig.until("camera_stalled")
    assert (not_none(rig.health.state().last_error_at) - stopped).total_seconds() < 2


def test_a_stalled_camera_stays_stalled_until_a_frame_proves_otherwise(
    rig: Rig, driver: ScriptedDriver, until: Until
) -> None:
    driver.sending = False
    rig.until("camera_stalled")
    opens = driver.opens
    until(lambda: driver.opens > opens)
    assert rig.health.state().state == "camera_stalled", "an open device that sends nothing is no progress"
    driver.sending = True
    rig.until("ok")


def test_a_camera_that_stalls_for_long_does_not_fill_the_log(
    make_rig: MakeRig, driver: ScriptedDriver, until: Until, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.patience = 0.3
    rig = make_rig()
    rig.until("ok")
    capsys.readouterr()
    driver.sending = False
    rig.until("camera_stalled")
    opens = driver.opens
    until(lambda: driver.opens > opens + 2)
    assert capsys.readouterr().out.count("\n") <= 1, "said once"


def test_a_camera_that_returns_serves_within_five_seconds_however_long_it_was_away(
    rig: Rig, driver: ScriptedDriver
) -> None:
    assert max(reopen_delay(attempt) for attempt in range(1000)) == REOPEN_MAX
    driver.present = False
    rig.until("camera_absent")
    time.sleep(1.0)  # the delay between attempts has to grow
    driver.present = True
    returned = time.monotonic()
    rig.until("ok")
    assert time.monotonic() - returned < 5


def test_absent_at_the_start_is_the_same_as_unplugged(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    driver.present = False
    rig = make_rig()
    rig.until("camera_absent")
    driver.present = True
    rig.until("ok")


def test_nothing_but_broken_frames_is_said_and_the_device_opened_anew(
    make_rig: MakeRig, driver: ScriptedDriver, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visant_camera.grabber.BAD_FRAMES_LIMIT", 0.5)
    rig = make_rig()
    rig.until("ok")
    opens = driver.opens
    driver.broken = True
    rig.until("bad_frames")
    until(lambda: driver.opens > opens)
    driver.broken = False
    rig.until("ok")


def test_frames_have_one_thread_and_controls_another(rig: Rig, driver: ScriptedDriver) -> None:
    assert driver.threads == {"grabber"}
    driver.threads.clear()
    asked = rig.grabber.call(lambda camera: (camera.controls(), threading.current_thread().name))
    assert asked.result(timeout=2)[1] == "controls"


async def test_controls_that_hang_cost_nobody_a_snapshot(rig: Rig, driver: ScriptedDriver) -> None:
    let_go = threading.Event()
    hanging = [rig.grabber.call(lambda camera: let_go.wait(30)) for _ in range(2)]
    try:
        asked = time.monotonic()
        for _ in range(5):
            await rig.snapshots.take(max_age=None, timeout=2)
        assert not hanging[0].done()
        assert rig.health.state().state == "ok"
        assert time.monotonic() - asked < 5
    finally:
        let_go.set()


async def test_saved_controls_that_hang_delay_pictures_for_seconds_only(
    make_rig: MakeRig, driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visant_camera.grabber.CONTROLS_PATIENCE", 0.1)
    let_go = threading.Event()
    rig = make_rig(on_open=lambda camera, opened: let_go.wait(30))
    try:
        await rig.snapshots.take(max_age=None, timeout=5)
    finally:
        let_go.set()


def test_a_slow_starter_gets_its_time_at_the_first_start(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    """Its first frame takes far longer than a stream may be silent."""
    driver.first_frame = 1.0
    rig = make_rig(stall_after=0.2)
    rig.until("ok")
    assert driver.opens == 1


def test_a_camera_that_does_not_start_is_opened_anew_sooner_and_now_and_then_with_patience(
    make_rig: MakeRig, driver: ScriptedDriver, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visant_camera.grabber.REOPEN_MAX", 0.01)
    monkeypatch.setattr("visant_camera.grabber.REOPEN_FIRST", 0.01)
    driver.sending = False
    driver.patience = 1.0
    rig = make_rig(stall_after=0.1)
    until(lambda: driver.opens == PATIENT_STARTS + 2)
    waits = [after - before for before, after in pairwise(driver.opened_at)]
    assert [wait >= 1.0 for wait in waits] == [True, *[False] * (PATIENT_STARTS - 1), True]
    assert rig.health.state().state == "camera_stalled"
    driver.sending = True
    rig.until("ok")


def test_the_same_picture_again_and_again_is_a_stall_also_while_nobody_asks(
    rig: Rig, driver: ScriptedDriver, until: Until
) -> None:
    opens = driver.opens
    driver.repeating = True
    rig.until("camera_stalled")
    until(lambda: driver.opens > opens)
    assert "again and again" in not_none(rig.health.state().detail)
    driver.repeating = False
    rig.until("ok")


async def test_copies_with_which_a_camera_fills_its_rate_are_no_fault(rig: Rig, driver: ScriptedDriver) -> None:
    driver.copies_between = 5
    opens = driver.opens
    for _ in range(5):
        await rig.snapshots.take(max_age=None, timeout=2)
    assert driver.opens == opens
    assert rig.health.state().bad_frames == 0


def test_a_call_fails_while_no_camera_is_open(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    driver.present = False
    rig = make_rig()
    rig.until("camera_absent")
    with pytest.raises(CameraAbsent):
        rig.grabber.call(lambda camera: camera.controls()).result(timeout=3)


def test_a_call_that_raises_does_not_end_the_thread(rig: Rig) -> None:
    with pytest.raises(ZeroDivisionError):
        rig.grabber.call(lambda camera: 1 / 0).result(timeout=2)
    rig.grabber.call(lambda camera: None).result(timeout=2)
    rig.grabber.check()


def test_a_driver_that_never_returns_is_noticed_from_outside(
    rig: Rig, driver: ScriptedDriver, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visant_camera.grabber.MAX_SILENCE", 0.2)
    driver.hang = threading.Event()

    def noticed() -> bool:
        try:
            rig.grabber.check()
        except RuntimeError as error:
            return "has not returned" in str(error)
        return False

    until(noticed)


def test_a_fault_in_a_driver_ends_the_process_instead_of_a_silent_thread(
    rig: Rig, driver: ScriptedDriver, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(timeout: float, *, want: bool) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(driver, "next_frame", broken)

    def noticed() -> bool:
        try:
            rig.grabber.check()
        except RuntimeError as error:
            return isinstance(error.__cause__, KeyError)
        return False

    until(noticed)


def test_the_heartbeat_says_degraded_but_healthy_while_the_camera_is_away(
    make_rig: MakeRig, driver: ScriptedDriver, tmp_path: Path, until: Until
) -> None:
    path = tmp_path / "heartbeat"
    heartbeat = Heartbeat(path)
    driver.present = False
    make_rig(heartbeat=heartbeat)
    until(lambda: health(path) == (0, "degraded: camera: camera_absent: it is unplugged"))
    driver.present = True
    until(lambda: health(path) == (0, "healthy"))


def test_the_frame_rate_is_measured(rig: Rig, until: Any) -> None:
    until(lambda: rig.health.state().fps is not None)
    assert 1 < not_none(rig.health.state().fps) <= 101


def test_refused_wishes_are_shown(rig: Rig) -> None:
    assert rig.health.state().refusals == ("size 8x8: got 4x2",)


def test_stopping_closes_the_camera(rig: Rig, driver: ScriptedDriver) -> None:
    rig.grabber.stop()
    assert driver.closes == driver.opens == 1
