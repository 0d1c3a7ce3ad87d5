"""When the device looks for a release, and what systemd is told about it."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from visantctl.errors import Busy, NoSpace, Unreachable
from visantctl.host.place import Place
from visantctl.host.units import NAMES

SYSTEMD = Path(__file__).resolve().parents[3] / "deployment/systemd"


def unit(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=True, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string((SYSTEMD / name).read_text())
    return found


def test_the_daily_look_is_at_two_with_jitter_and_is_made_up_for() -> None:
    timer = unit("visant-update.timer")["Timer"]
    assert timer["OnCalendar"] == "*-*-* 02:00:00"
    assert timer["RandomizedDelaySec"] == "30min"
    assert timer["Persistent"] == "true"
    assert "Unit" not in timer, "the service of the same name"


def test_the_device_service_runs_visantctl_and_never_waits_for_a_network() -> None:
    service = unit("visant-device-v2.service")
    assert service["Service"]["ExecStart"] == "/usr/local/bin/visantctl run"
    assert service["Service"]["Restart"] == "always"
    assert "network-online" not in service["Unit"]["After"]
    assert "Requires" not in service["Unit"]


def test_what_will_be_tried_again_tomorrow_is_no_failed_unit() -> None:
    codes = unit("visant-update.service")["Service"]["SuccessExitStatus"].split()
    assert {int(code) for code in codes} == {Unreachable.code, NoSpace.code, Busy.code}


def test_the_log_is_rotated_where_it_is_written() -> None:
    text = (SYSTEMD / "visant-update.logrotate").read_text()
    assert text.split()[0] == str(Place.from_environment().log)
    assert re.search(r"^\s+rotate [1-9]", text, re.MULTILINE)
    assert re.search(r"^\s+maxsize ", text, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_the_unit(name: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(SYSTEMD / name)], capture_output=True, text=True, check=False
    )
    about_us = [line for line in done.stderr.splitlines() if name in line and "visantctl is not executable" not in line]
    assert about_us == []
