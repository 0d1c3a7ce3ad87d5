"""Many commands, one camera."""

import asyncio

import pytest

from visant_contract.outcome import Reason
from visant_contract.snapshot import SnapshotInfo
from visant_runtime.clock import Clock
from visant_runtime.lifecycle import Stop, Stopped
from visant_uploader.capture import camera_slots
from visant_uploader.capture.camera_client import CameraClient, CameraTrouble, Snapshot
from visant_uploader.capture.camera_slots import SLOTS, CameraSlots, TooLate


class FakeCamera(CameraClient):
    def __init__(self) -> None:
        self.away = False
        self.slow = 0.0
        self.needs = 0.0
        """Seconds that each request must wait for a frame: the margin of freshness, a long frame interval."""
        self.reasons: list[Reason] = []
        """Said one after another, each at the end of its wait; then `camera_stalled`."""
        self.asked = 0
        self.asking = self.most = 0

    async def snapshot(self, wait: float, asked_at: float) -> Snapshot:
        self.asked += 1
        self.asking += 1
        self.most = max(self.most, self.asking)
        try:
            if self.away:
                await asyncio.sleep(min(wait, 0.02))
                raise CameraTrouble(Reason.CAMERA_ABSENT, "as scripted")
            if self.reasons or wait < self.needs:
                await asyncio.sleep(wait)
                raise CameraTrouble(self.reasons.pop(0) if self.reasons else Reason.CAMERA_STALLED, "as scripted")
            await asyncio.sleep(self.slow or self.needs)
            return Snapshot(b"jpeg", SnapshotInfo(captured_boottime=asked_at, sequence=1, width=1, height=1), asked_at)
        finally:
            self.asking -= 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_slots, "PAUSE", 0.01)
    monkeypatch.setattr(camera_slots, "LOOK_EVERY", 0.05)


async def picture(slots: CameraSlots, seconds: float, stop: Stop | None = None) -> str:
    try:
        async with slots.snapshot(Clock().boottime() + seconds, stop or Stop()) as snapshot:
            await asyncio.sleep(0)
            return snapshot.jpeg.decode()
    except CameraTrouble as trouble:
        return trouble.reason
    except TooLate:
        return "too late"
    except Stopped:
        return "stopped"


async def test_never_more_pictures_in_memory_than_slots() -> None:
    camera = FakeCamera()
    slots = CameraSlots(camera, Clock(), patience=10)
    held = most = 0

    async def one() -> None:
        nonlocal held, most
        async with slots.snapshot(Clock().boottime() + 30, Stop()):
            held += 1
            most = max(most, held)
            await asyncio.sleep(0.01)
            held -= 1

    await asyncio.gather(*(one() for _ in range(40)))
    assert most == SLOTS and camera.asked == 40


async def test_an_absent_camera_costs_everybody_one_patience_not_one_after_another() -> None:
    camera = FakeCamera()
    camera.away = True
    slots = CameraSlots(camera, Clock(), patience=0.5)
    began = asyncio.get_running_loop().time()
    found = await asyncio.gather(*(picture(slots, 60) for _ in range(60)))
    assert set(found) == {"camera_absent"}
    assert asyncio.get_running_loop().time() - began < 10


async def test_a_camera_that_returns_serves_all_who_wait() -> None:
    camera = FakeCamera()
    camera.away = True
    slots = CameraSlots(camera, Clock(), patience=60)
    waiting = [asyncio.create_task(picture(slots, 60)) for _ in range(20)]
    while camera.asked < 8:
        await asyncio.sleep(0.01)
    camera.away = False
    assert set(await asyncio.gather(*waiting)) == {"jpeg"}


async def test_a_slow_camera_is_no_absent_one_however_many_wait() -> None:
    camera = FakeCamera()
    camera.slow = 0.05
    slots = CameraSlots(camera, Clock(), patience=0.1)
    assert set(await asyncio.gather(*(picture(slots, 60) for _ in range(40)))) == {"jpeg"}


async def test_whose_deadline_passes_before_a_slot_is_too_late() -> None:
    camera = FakeCamera()
    camera.slow = 0.3
    slots = CameraSlots(camera, Clock(), patience=10)
    first = [asyncio.create_task(picture(slots, 60)) for _ in range(SLOTS)]
    await asyncio.sleep(0)
    assert await picture(slots, 0.05) == "too late"
    assert await picture(slots, -1) == "too late"
    await asyncio.gather(*first)


async def test_the_deadline_ends_the_patience_with_the_last_reason() -> None:
    camera = FakeCamera()
    camera.away = True
    slots = CameraSlots(camera, Clock(), patience=60)
    assert await picture(slots, 0.2) == "camera_absent"


async def test_the_end_of_the_process_ends_every_wait() -> None:
    camera = FakeCamera()
    camera.away = True
    slots = CameraSlots(camera, Clock(), patience=60)
    stop = Stop()
    waiting = [asyncio.create_task(picture(slots, 60, stop)) for _ in range(10)]
    while camera.asked < 2:
        await asyncio.sleep(0.01)
    stop.set()
    assert set(await asyncio.gather(*waiting)) <= {"stopped", "camera_absent"}
    camera.away = False
    assert await picture(slots, 5) == "jpeg"  # every slot was given back


async def test_a_slot_is_given_back_whatever_happens_to_its_holder() -> None:
    camera = FakeCamera()
    slots = CameraSlots(camera, Clock(), patience=10)
    for _ in range(SLOTS * 2):
        with pytest.raises(RuntimeError):
            async with slots.snapshot(Clock().boottime() + 5, Stop()):
                raise RuntimeError
    camera.slow = 30
    tasks = [asyncio.create_task(picture(slots, 60)) for _ in range(SLOTS * 2)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    camera.slow = 0
    assert await picture(slots, 5) == "jpeg"


@pytest.mark.parametrize("commands", [1, 40])
async def test_a_camera_that_needs_longer_than_the_first_wait_gives_its_picture(
    monkeypatch: pytest.MonkeyPatch, commands: int
) -> None:
    monkeypatch.setattr(camera_slots, "ASK_FIRST", 0.05)
    camera = FakeCamera()
    camera.needs = 0.15
    slots = CameraSlots(camera, Clock(), patience=10)
    assert set(await asyncio.gather(*(picture(slots, 60) for _ in range(commands)))) == {"jpeg"}
    asked = camera.asked
    assert await picture(slots, 60) == "jpeg" and camera.asked == asked + 1  # what it needs is known now


async def test_no_request_waits_longer_than_the_camera_allows_or_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_slots, "ASK_FIRST", 0.02)
    monkeypatch.setattr(camera_slots, "ASK_MOST", 0.1)
    camera = FakeCamera()
    waits: list[float] = []

    async def snapshot(wait: float, asked_at: float) -> Snapshot:
        waits.append(wait)
        await asyncio.sleep(wait)
        raise CameraTrouble(Reason.CAMERA_ABSENT, "as scripted")

    monkeypatch.setattr(camera, "snapshot", snapshot)
    began = Clock().boottime()
    assert await picture(CameraSlots(camera, Clock(), patience=0.5), 60) == "camera_absent"
    assert 0.5 <= Clock().boottime() - began < 1.5
    assert waits[0] == 0.02 and waits[1] >= 0.04 and max(waits) == 0.1


async def test_a_last_request_that_was_cut_short_does_not_hide_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_slots, "ASK_FIRST", 0.5)
    camera = FakeCamera()
    camera.needs = 60
    camera.reasons = [Reason.BAD_FRAMES]
    assert await picture(CameraSlots(camera, Clock(), patience=1.0), 60) == "bad_frames"
    assert camera.asked == 2
    assert await picture(CameraSlots(camera, Clock(), patience=0.05), 60) == "camera_stalled"  # nothing truer is known


async def test_a_long_wait_ends_soon_after_the_process_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_slots, "ASK_FIRST", 0.1)
    camera = FakeCamera()
    camera.slow = 30
    stop = Stop()
    slots = CameraSlots(camera, Clock(), patience=60)
    waiting = asyncio.create_task(picture(slots, 60, stop))
    while not camera.asking:
        await asyncio.sleep(0.01)
    stop.set()
    assert await asyncio.wait_for(waiting, 2) == "stopped"
    await asyncio.sleep(0)
    assert camera.asking == 0


async def test_a_picture_that_comes_just_after_the_end_began_is_not_thrown_away() -> None:
    camera = FakeCamera()
    camera.slow = 0.1
    stop = Stop()
    waiting = asyncio.create_task(picture(CameraSlots(camera, Clock(), patience=60), 60, stop))
    while not camera.asking:
        await asyncio.sleep(0.01)
    stop.set()
    assert await waiting == "jpeg"


async def test_a_picture_and_a_reason_say_when_the_camera_was_asked_first() -> None:
    camera = FakeCamera()
    camera.reasons = [Reason.CAMERA_STARTING]
    slots = CameraSlots(camera, Clock(), patience=5)
    slots._wait = 0.05
    began = Clock().boottime()
    async with slots.snapshot(began + 5, Stop()) as snapshot:
        assert camera.asked == 2 and snapshot.first_asked_at is not None
        assert began <= snapshot.first_asked_at < snapshot.asked_at
    camera.away = True
    began = Clock().boottime()
    with pytest.raises(CameraTrouble) as trouble:
        async with slots.snapshot(began + 0.2, Stop()):
            pass
    assert trouble.value.first_asked_at is not None and trouble.value.first_asked_at - began < 0.2
