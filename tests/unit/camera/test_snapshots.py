"""`/snapshot`'s promise: exposed after the request, or a reason."""

import asyncio
import random
import threading
import time

import pytest

from tests.unit.camera.conftest import DAMAGED, MakeRig, Rig, ScriptedDriver, numbered
from visant_camera.drivers.base import BadFrame
from visant_camera.frame import Frame
from visant_camera.snapshots import NoFrameInTime


async def test_a_picture_is_exposed_after_the_request(rig: Rig) -> None:
    for _ in range(20):
        asked = time.monotonic()
        picture, _ = await rig.snapshots.take(max_age=None, timeout=1)
        assert picture.exposed.monotonic >= asked


class LongExposures:
    """Stands in for a webcam at night: it exposes for the whole of an interval that nobody knows, then sends.

    `begun` maps a frame's number to the begin of its exposure, which the service cannot see.
    """

    def __init__(self, driver: ScriptedDriver, stamp_late: float) -> None:
        self._driver, self._late = driver, stamp_late
        self._chance = random.Random(1)
        self.begun: dict[int, float] = {}
        self._end = time.monotonic()
        self._stamp = float("-inf")
        self._number = 0

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        self._number += 1
        begin, self._end = self._end, self._end + self._chance.uniform(0.05, 0.08)
        self.begun[self._number] = begin
        time.sleep(max(0.0, self._end + self._late - time.monotonic()))
        before, self._stamp = self._stamp, self._end + self._chance.uniform(0, self._late)
        if not want:
            return None
        return Frame(numbered(self._number), "mjpeg", 4, 2, self._number, self._stamp, before)


@pytest.mark.parametrize("an_older_one_before", [False, True])
async def test_no_exposure_that_began_before_the_request_is_served_however_long_it_is(
    make_rig: MakeRig, driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch, an_older_one_before: bool
) -> None:
    driver.late = 0.016
    night = LongExposures(driver, 0.016)
    monkeypatch.setattr(driver, "next_frame", night.next_frame)
    rig = make_rig()
    rig.until("ok")
    if an_older_one_before:
        await rig.snapshots.take(max_age=0.5, timeout=2)
    for _ in range(25):
        asked = time.monotonic()
        picture, _ = await rig.snapshots.take(max_age=None, timeout=2)
        assert night.begun[picture.frame.sequence] >= asked
        await asyncio.sleep(night._chance.uniform(0, 0.07))


async def test_a_late_timestamp_is_not_believed(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    """The stamp comes 30 ms after the exposure, the frame interval is 10 ms: three frames in a row would deceive."""
    driver.late = 0.03
    rig = make_rig()
    rig.until("ok")
    for _ in range(20):
        asked = time.monotonic()
        picture, _ = await rig.snapshots.take(max_age=None, timeout=1)
        assert picture.exposed.monotonic - driver.late >= asked


async def test_the_margin_can_be_set_by_hand(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    driver.late = 0.03
    rig = make_rig(margin=0.3)
    rig.until("ok")
    asked = time.monotonic()
    picture, _ = await rig.snapshots.take(max_age=None, timeout=2)
    assert picture.exposed.monotonic >= asked + 0.3


async def test_two_requests_at_once_share_a_frame_and_its_encoding(rig: Rig) -> None:
    first, second = await asyncio.gather(*(rig.snapshots.take(max_age=None, timeout=1) for _ in range(2)))
    assert first[0] is second[0]


async def test_an_older_picture_is_given_to_whoever_allows_one(rig: Rig) -> None:
    first, _ = await rig.snapshots.take(max_age=1.0, timeout=1)
    second, _ = await rig.snapshots.take(max_age=1.0, timeout=1)
    assert second.exposed.monotonic >= first.exposed.monotonic
    began = time.monotonic()
    third, _ = await rig.snapshots.take(max_age=1.0, timeout=1)
    assert third.exposed.monotonic < began, "a newer one was waited for, though an older one was allowed"


async def test_no_picture_older_than_allowed_is_given(rig: Rig, driver: ScriptedDriver) -> None:
    await rig.snapshots.take(max_age=1.0, timeout=1)
    driver.sending = False
    await asyncio.sleep(0.15)  # the picture has to grow old
    with pytest.raises(NoFrameInTime) as error:
        await rig.snapshots.take(max_age=0.1, timeout=0.1)
    assert error.value.reason == "camera_stalled"


async def test_a_wait_ends_at_its_timeout_with_the_reason(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    driver.present = False
    rig = make_rig()
    began = time.monotonic()
    with pytest.raises(NoFrameInTime) as error:
        await rig.snapshots.take(max_age=None, timeout=0.3)
    assert error.value.reason == "camera_absent"
    assert error.value.detail == "it is unplugged"
    assert 0.3 <= time.monotonic() - began < 0.6


async def test_a_camera_that_comes_back_during_the_wait_serves_it(make_rig: MakeRig, driver: ScriptedDriver) -> None:
    driver.present = False
    rig = make_rig()
    rig.until("camera_absent")
    asking = asyncio.create_task(rig.snapshots.take(max_age=None, timeout=3))
    await asyncio.sleep(0)
    driver.present = True
    picture, _ = await asking
    assert picture.frame.sequence >= 1


async def test_a_frozen_camera_never_serves_its_old_moment(rig: Rig, driver: ScriptedDriver) -> None:
    picture, _ = await rig.snapshots.take(max_age=None, timeout=1)
    driver.frozen_at = picture.exposed.monotonic
    with pytest.raises(NoFrameInTime) as error:
        await rig.snapshots.take(max_age=None, timeout=0.6)
    assert error.value.reason == "camera_stalled"


async def test_broken_frames_are_counted_and_never_served(rig: Rig, driver: ScriptedDriver) -> None:
    driver.broken = True
    with pytest.raises(NoFrameInTime) as error:
        await rig.snapshots.take(max_age=None, timeout=0.1)
    assert error.value.reason == "bad_frames"
    assert rig.health.state().bad_frames > 0
    driver.broken = False
    await rig.snapshots.take(max_age=None, timeout=1)


async def test_a_frame_that_cannot_be_encoded_is_skipped(
    rig: Rig, driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = driver.next_frame

    def sometimes_wrong(timeout: float, *, want: bool) -> Frame | None:
        frame = plain(timeout, want=want)
        if frame is not None and driver.copies < 3:
            return Frame(b"too short", "bgr", 4, 2, frame.sequence, frame.exposed_at)
        return frame

    monkeypatch.setattr(driver, "next_frame", sometimes_wrong)
    picture, jpeg = await rig.snapshots.take(max_age=None, timeout=5)
    assert jpeg.startswith(b"\xff\xd8")
    assert picture.frame.encoding == "mjpeg"
    assert rig.health.state().bad_frames >= 1


async def test_a_damaged_picture_is_passed_over_for_the_very_next_one(
    rig: Rig, driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = driver.next_frame
    handed: list[int] = []

    def one_damaged(timeout: float, *, want: bool) -> Frame | None:
        frame = plain(timeout, want=want)
        if frame is None:
            return None
        handed.append(frame.sequence)
        if len(handed) > 1:
            return frame
        return Frame(DAMAGED, "mjpeg", 4, 2, frame.sequence, frame.exposed_at)

    monkeypatch.setattr(driver, "next_frame", one_damaged)
    picture, jpeg = await rig.snapshots.take(max_age=None, timeout=2)
    assert b"JFIF" in jpeg
    assert picture.frame.sequence > handed[0]
    assert handed == list(range(handed[0], handed[0] + len(handed))), "a frame was drained while another was checked"
    assert rig.health.state().bad_frames == 1


async def test_a_picture_is_checked_once_and_beside_the_event_loop(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    monkeypatch.setattr("visant_camera.picture.check", lambda *_: checked.append(threading.current_thread().name))
    first, second = await asyncio.gather(*(rig.snapshots.take(max_age=None, timeout=1) for _ in range(2)))
    assert first[0] is second[0]
    assert len(checked) == 1
    assert checked[0] != threading.main_thread().name


async def test_a_request_that_gave_up_leaves_nothing_behind(rig: Rig, driver: ScriptedDriver) -> None:
    driver.sending = False
    with pytest.raises(NoFrameInTime):
        await rig.snapshots.take(max_age=None, timeout=0.02)
    assert not rig.latest.wanted()


def test_a_bad_frame_tells_its_reason() -> None:
    assert BadFrame("x").reason == "bad_frames"
