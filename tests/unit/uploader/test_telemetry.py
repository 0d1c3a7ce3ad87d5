"""When the cloud is told how the device is; on a clock of the test's own."""

import asyncio
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visant_contract.telemetry import CameraHealth, HostFacts
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_uploader.change_pace import ChangePace
from visant_uploader.counters import Counters
from visant_uploader.delivery.retry_policy import Refused, Speaker, Unanswered
from visant_uploader.health_report import Present
from visant_uploader.telemetry import TelemetryLoop

INTERVAL = 300.0
START = 5000.0
"""CLOCK_BOOTTIME."""


class World:
    """A device whose state a test sets, and a cloud that hears: (seconds since the start, camera's state)."""

    def __init__(self, folder: Path, pace: ChangePace | None = None, *, plain: bool = False) -> None:
        self.now = START
        self.state = "ok"
        self.failure: Exception | None = None
        self.heard: list[tuple[float, str]] = []
        self.asked = 0
        report: Any = SimpleNamespace(present=self._present, gather=self._gather)
        cloud: Any = SimpleNamespace(send_telemetry=self._send)
        watch: Any = SimpleNamespace(
            moment=lambda: SimpleNamespace(boottime=self.now), cloud=SimpleNamespace(plain=plain)
        )
        self.watch = watch
        refusals: Any = SimpleNamespace(accepted=lambda _now: None)
        self.loop = TelemetryLoop(
            cloud,
            report,
            watch,
            refusals,
            pace or ChangePace(3, 60.0),
            interval=INTERVAL,
            counters=Counters(),
            heartbeat=Heartbeat(folder / "heartbeat"),
        )

    async def _present(self) -> Present:
        return Present(CameraHealth(state=self.state), (), None)

    async def _gather(self, present: Present) -> str:
        return present.camera.state

    async def _send(self, state: str, *, plain: bool) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        self.heard.append((self.now - START, state))

    def run(self, seconds: float, *changes: tuple[float, str]) -> list[tuple[float, str]]:
        """What the cloud hears in so many seconds. `changes`: (at, the camera's state from then on)."""
        world, waiting, end = self, sorted(changes), self.now + seconds

        class Simulated(Stop):
            async def sleep(self, seconds: float) -> bool:
                world.now += seconds
                while waiting and world.now - START >= waiting[0][0]:
                    world.state = waiting.pop(0)[1]
                if world.now >= end:
                    self.set()
                return self.is_set()

        asyncio.run(self.loop.run(Simulated()))
        return self.heard


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_device_whose_state_stays_reports_each_interval_as_ever(world: World) -> None:
    heard = world.run(1000.0)
    assert [at for at, _ in heard] == [2.0, 302.0, 602.0, 902.0]


def test_a_camera_that_goes_and_comes_back_is_told_within_ten_seconds_each(world: World) -> None:
    heard = world.run(200.0, (50.0, "camera_absent"), (120.0, "ok"))
    assert [state for _, state in heard] == ["ok", "camera_absent", "ok"]
    assert heard[1][0] - 50.0 <= 10.0 and heard[2][0] - 120.0 <= 10.0


def test_a_changed_set_of_causes_is_a_change_and_a_changed_wording_is_none() -> None:
    camera = CameraHealth(state="ok", fps=29.9)
    before = Present(camera, ("redis: 3 tries",), None)
    assert Present(CameraHealth(state="ok", fps=30.1), ("redis: 4 tries",), None).state == before.state
    for other in (("redis: 3 tries", "spool: the disk is full"), ("spool: 3 tries",), ()):
        assert Present(camera, other, None).state != before.state


def test_facts_of_the_host_are_a_change_where_they_come_or_go_and_not_in_what_they_say() -> None:
    before = Present(CameraHealth(state="ok"), (), None)
    there = Present(CameraHealth(state="ok"), (), HostFacts(age=2.0, engine="28.5.1"))
    later = Present(CameraHealth(state="ok"), (), HostFacts(age=200.0, engine="29.0.0"))
    gone = Present(CameraHealth(state="ok"), (), HostFacts(age=700.0))
    assert before.state != there.state == later.state != gone.state == before.state


def test_a_camera_that_starts_is_told_by_what_it_becomes(world: World) -> None:
    heard = world.run(
        100.0, (20.0, "camera_starting"), (25.0, "ok"), (50.0, "camera_starting"), (55.0, "camera_absent")
    )
    assert [state for _, state in heard] == ["ok", "camera_absent"]


def test_a_flapping_camera_is_told_thrice_and_then_once_a_minute(world: World) -> None:
    flapping = [(10.0 + at * 4.0, "ok" if at % 2 else "camera_absent") for at in range(140)]
    heard = world.run(600.0, *flapping)
    assert 3 + 1 <= len(heard) <= 2 + 1 + 3 + 600 / 60
    assert heard[-1][1] == "ok" and world.state == "ok", "what stays in the end is told"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(5.0, 400.0), st.sampled_from(["ok", "camera_absent", "bad_frames"])), max_size=12))
def test_what_stays_in_the_end_is_told_within_a_minute_whatever_was_before(changes: list[tuple[float, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        heard = World(Path(folder)).run(480.0, *changes)
    at, state = max(changes, key=lambda change: change[0], default=(0.0, "ok"))
    final = [one for when, one in sorted(changes) if when == at][-1] if changes else state
    assert [one for when, one in heard if when <= at + 70.0][-1] == final


def test_a_cloud_that_did_not_hear_of_a_change_is_told_again_and_not_without_end(world: World) -> None:
    world.run(10.0)
    world.state, world.failure = "camera_absent", Unanswered("away")
    before = world.asked
    world.run(120.0)
    assert 3 <= world.asked - before <= 1 + 3 + 2
    world.failure = None
    assert world.run(70.0)[-1][1] == "camera_absent"


@pytest.mark.parametrize("failure", [Refused(404, Speaker.CLOUD, "Not Found"), Unanswered("away")])
def test_a_plain_cloud_is_asked_no_more_often_than_before(tmp_path: Path, failure: Exception) -> None:
    flapping = [(10.0 + at * 8.0, "ok" if at % 2 else "camera_absent") for at in range(70)]
    plain = World(tmp_path, plain=True)
    plain.failure = failure
    plain.run(590.0, *flapping)
    assert plain.asked == (1 if isinstance(failure, Refused) else 2)


def test_without_a_cloud_nothing_is_looked_at(world: World) -> None:
    world.watch.cloud = None
    assert world.run(20.0, (5.0, "camera_absent")) == []
