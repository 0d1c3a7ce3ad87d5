"""What `visantctl status` calls the state of a device, from what its containers say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from visantctl.doctor.checks import release
from visantctl.releases.stack import Container
from visantctl.service import status as status_module
from visantctl.updates.pending import Pending

UP, STARTS, ILL = ("running", "healthy"), ("running", "starting"), ("running", "unhealthy")


def container(service: str, state: tuple[str, str], version: str = "2.0.0") -> Container:
    return Container(service, service, f"visant/{service}:{version}", "sha256:1", *state, 0, "t0", (), ())


class Device:
    """A good release of camera and uploader, and what runs of it."""

    def __init__(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, *found: list[Container]) -> None:
        self.looks = list(found)
        self.place = SimpleNamespace(state=tmp_path, current=tmp_path, previous=tmp_path, linked_version=lambda _: None)
        self.ledger = SimpleNamespace(good="2.0.0", quarantine={}, history=list)
        self.settings = SimpleNamespace(channel="stable", pin="", update_url="", project="visant")
        self.engine = None
        monkeypatch.setattr(status_module, "containers", self._containers)
        monkeypatch.setattr(release, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _: None))

    def _containers(self, *_: object) -> list[Container]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def stack(self, _: str) -> Any:
        return SimpleNamespace(check=lambda: ["camera", "uploader"])


@pytest.mark.parametrize(
    ("camera", "uploader", "state"),
    [
        (container("camera", UP), container("uploader", UP), "ok"),
        (container("camera", STARTS), container("uploader", UP), "starting"),
        (container("camera", STARTS), container("uploader", ILL), "wrong"),
        (container("camera", STARTS, "1.0.0"), container("uploader", UP), "wrong"),
        (container("camera", ("exited", "none")), container("uploader", STARTS), "wrong"),
    ],
)
def test_the_state(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, camera: Container, uploader: Container, state: str
) -> None:
    device: Any = Device(tmp_path, monkeypatch, [camera, uploader])
    assert status_module.status(device)["state"] == state


def test_doctor_mends_nothing_on_a_device_that_just_starts(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at_first = [container("camera", STARTS), container("uploader", STARTS)]
    device: Any = Device(
        tmp_path, monkeypatch, at_first, at_first, [container("camera", UP), container("uploader", UP)]
    )
    assert [(one.level, one.fix) for one in release.check(device)] == [("PASS", ())]


def test_a_service_that_does_not_get_beyond_its_start_is_told_and_left(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    device: Any = Device(tmp_path, monkeypatch, [container("camera", STARTS), container("uploader", UP)])
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(release, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    [found] = release.check(device)
    assert (found.level, found.fix) == ("WARN", ())
    assert found.text == "still starting: camera"


def test_an_update_that_has_not_come_to_its_end_is_said_with_its_reason(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    device: Any = Device(tmp_path, monkeypatch, [container("camera", UP, "2.1.0"), container("uploader", ILL, "2.1.0")])
    pending = Pending("2.1.0", "2.0.0", None, {}, phase="rolling_back", reason="uploader is unhealthy")
    pending.write(tmp_path)
    value = status_module.status(device)
    assert value["state"] == "unrepaired"
    assert "pending    2.1.0, rolling_back: uploader is unhealthy" in status_module.as_text(value)
    (finding,) = release.check(device)
    assert finding.level == "FAIL"
    assert "2.1.0 has not come to its end (rolling_back: uploader is unhealthy)" in finding.text
    assert "update --from FILE" in finding.remedy
