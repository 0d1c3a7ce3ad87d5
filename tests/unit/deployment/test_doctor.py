"""What doctor makes of what it sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from visantctl.doctor import cloud, configuration, host, picture

TREE = Path(__file__).resolve().parents[3]


def levels(findings: Any) -> list[str]:
    return [one.level for one in findings]


def test_every_finding_that_is_no_pass_has_a_remedy() -> None:
    seen = [
        picture.finding({"reason": "camera_absent", "detail": "no /dev/video0"}),
        host.power_finding(0x1),
        host.power_finding(0x10000),
        cloud.stream_finding({"degraded": {"cloud": "refused"}}),
        cloud.stream_finding({"facts": {"last_event_age": 400}}),
        *cloud.spool_findings(
            {"pictures": 3, "oldest_age": 7200, "days_left": 0.2, "dead_letter": 1}, {"disk": "full"}
        ),
    ]
    assert levels(seen) == ["FAIL", "FAIL", "WARN", "FAIL", "WARN", "FAIL", "WARN", "WARN"]
    assert all(one.remedy for one in seen)


def test_a_healthy_device_passes() -> None:
    frame = {"bytes": 300_000, "width": 1920, "height": 1080, "brightness": 90.0, "sharpness": 410.2}
    seen = [
        picture.finding(frame),
        host.power_finding(0),
        cloud.stream_finding({"facts": {"last_event_age": 12.0}, "degraded": {}}),
        *cloud.spool_findings({"pictures": 0, "reports": 0, "days_left": 19.0}, {}),
    ]
    assert levels(seen) == ["PASS"] * 4
    assert "1920x1080" in seen[0].text


def test_a_black_picture_is_worth_a_warning() -> None:
    frame = {"bytes": 20_000, "width": 640, "height": 480, "brightness": 0.4, "sharpness": 0.1}
    assert picture.finding(frame).level == "WARN"


def test_the_example_knows_every_setting_and_a_typing_error_is_none() -> None:
    known = configuration.known_keys((TREE / ".env.device.example").read_text())
    assert {"DEVICE_ID", "CAMERA_SOURCE", "UPDATE_URL", "VIDEO_GID", "UPDATE_SOAK"} <= known
    assert "CAMERA_SOURSE" not in known


def test_a_worn_card_is_told_and_a_new_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "mmcblk0/device/life_time"
    file.parent.mkdir(parents=True)
    file.write_text("0x01 0x02\n")
    assert levels(host.wear(tmp_path)) == []
    file.write_text("0x03 0x0a\n")
    assert levels(host.wear(tmp_path)) == ["WARN"]


@pytest.mark.parametrize(("level", "expected"), [("-52.", "PASS"), ("-81.", "WARN")])
def test_weak_wifi_is_told(tmp_path: Path, level: str, expected: str) -> None:
    table = tmp_path / "wireless"
    table.write_text(f"Inter-| sta-|\n face | tus |\n wlan0: 0000   60.  {level}  -256        0      0\n")
    assert levels(host.wifi(table)) == [expected]
