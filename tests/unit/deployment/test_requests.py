"""Where the cloud's requests arrive, and that systemd looks there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from visantctl.doctor.checks import units as units_check
from visantctl.doctor.checkup import repair
from visantctl.doctor.finding import warn
from visantctl.host import units
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.service import requests
from visantctl.service.requests import listen, request_file

USUAL = "/var/lib/docker/volumes/visant_spool/_data"
UNIT = Path(__file__).resolve().parents[3] / "deployment/systemd" / units.ASKED


class Engine:
    """Says where a volume is."""

    def __init__(self, mountpoint: str = USUAL) -> None:
        self.mountpoint = mountpoint

    def run(self, *words: str) -> str:
        assert words == ("volume", "inspect", "--format", "{{.Mountpoint}}", "visant_spool")
        return f"{self.mountpoint}\n"


@pytest.fixture
def device(tmp_path: Path) -> Any:
    place = Place(tmp_path, tmp_path / "log", tmp_path / "units")
    place.units.mkdir()
    (place.units / units.ASKED).touch()
    return SimpleNamespace(
        place=place, engine=Engine(), settings=SimpleNamespace(project="visant"), log=Log(tmp_path / "log")
    )


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What systemd was told."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(requests, "systemctl", lambda *words, **_: said.append(words))
    return said


def test_the_unit_looks_where_the_engine_usually_has_the_spool(device: Any, said: list[tuple[str, ...]]) -> None:
    assert f"PathExists={request_file(device)}" in UNIT.read_text().splitlines()
    listen(device)
    assert said == []


def test_a_spool_elsewhere_is_looked_at_and_the_way_back_as_well(device: Any, said: list[tuple[str, ...]]) -> None:
    drop_in = device.place.units / f"{units.ASKED}.d/visant-spool.conf"
    device.place.env_file.write_text("VISANT_SPOOL=/mnt/100%/spool\n")
    listen(device)
    listen(device)
    assert drop_in.read_text() == "[Path]\nPathExists=\nPathExists=/mnt/100%%/spool/update-request.json\n"
    assert said == [("daemon-reload",), ("try-restart", units.ASKED)]
    device.place.env_file.unlink()
    device.engine.mountpoint = "/data/docker/volumes/visant_spool/_data"
    listen(device)
    assert "PathExists=/data/docker/volumes/visant_spool/_data/update-request.json" in drop_in.read_text()
    device.engine.mountpoint = USUAL
    listen(device)
    assert not drop_in.parent.exists()


def test_a_host_whose_unit_is_gone_or_masked_is_left_alone(device: Any, said: list[tuple[str, ...]]) -> None:
    (device.place.units / units.ASKED).unlink()
    (device.place.units / units.ASKED).symlink_to("/dev/null")
    device.engine.mountpoint = "/elsewhere"
    listen(device)
    assert said == []


@pytest.mark.parametrize(
    ("enabled", "active", "level", "fix"),
    [
        ("enabled", "active", "PASS", ()),
        ("enabled", "activating", "PASS", ()),
        ("enabled", "failed", "WARN", ("systemctl", "start", units.TIMER)),
        ("disabled", "inactive", "WARN", ()),
        ("masked", "inactive", "WARN", ()),
    ],
)
def test_a_unit_that_somebody_disabled_is_said_and_one_that_ended_is_mended(
    monkeypatch: pytest.MonkeyPatch, device: Any, enabled: str, active: str, level: str, fix: tuple[str, ...]
) -> None:
    words = {"is-enabled": enabled, "is-active": active}
    monkeypatch.setattr(units_check, "ask", lambda _program, what, _name: words[what])
    found = {one.text.split()[0]: one for one in units_check.check(device)}
    assert (found[units.TIMER].level, found[units.TIMER].fix) == (level, fix)
    assert found[units.DEVICE].level == ("PASS" if level == "PASS" else "FAIL")
    assert units.ASKED in found


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("disabled", "left alone, visant-update.timer is disabled"),
        ("masked", "left alone, visant-update.timer is masked"),
        ("enabled", "done"),
    ],
)
def test_the_doctor_mends_no_unit_that_somebody_disabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, says: str
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$1" = is-enabled ] || exec touch {tmp_path}/ran\necho {state}; exit 1\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = warn("units", "x", "y", fix="systemctl start visant-update.timer")
    assert repair(found) == says
    assert (tmp_path / "ran").exists() == (state == "enabled")
