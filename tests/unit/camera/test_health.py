"""Since when the camera is as it is."""

from types import SimpleNamespace

import pytest

from visant_camera.drivers.base import CameraAbsent
from visant_camera.health import Health


def test_the_age_of_a_state_counts_from_its_change_and_not_from_the_last_word_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("visant_camera.health.time", SimpleNamespace(monotonic=lambda: now[-1]))
    health = Health("scripted")

    def at(seconds: float) -> tuple[str, float]:
        now.append(seconds)
        state = health.state()
        return state.state, state.state_age

    assert at(103.0) == ("camera_starting", 3.0)
    health.frame(idle=True)
    assert at(113.0) == ("ok", 10.0)
    health.frame(idle=True)
    assert at(114.0) == ("ok", 11.0)
    health.failed(CameraAbsent("it was unplugged"))
    assert at(120.0) == ("camera_absent", 6.0)
    health.failed(CameraAbsent("no device at /dev/video0"))
    assert at(125.0) == ("camera_absent", 11.0), "said in other words"
