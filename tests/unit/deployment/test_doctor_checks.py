"""What doctor makes of what it sees."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from visantctl.doctor import clock
from visantctl.doctor.checks import (
    camera,
    card,
    disk,
    docker,
    heat,
    journal,
    network,
    power,
    security_updates,
    settings,
    spool,
    stream,
    tailscale,
    watchdog,
    wifi,
    writes,
)
from visantctl.host import env_file
from visantctl.host.readings import FileSystem, Life, Signal, Space

TREE = Path(__file__).resolve().parents[3]


def levels(findings: Any) -> list[str]:
    return [one.level for one in findings]


def test_every_finding_that_is_no_pass_has_a_remedy() -> None:
    seen = [
        camera.finding({"reason": "camera_absent", "detail": "no /dev/video0"}),
        power.finding(0x1),
        power.finding(0x10000),
        stream.finding({"degraded": {"cloud": "refused"}}),
        stream.finding({"facts": {"last_event_age": 400}}),
        stream.finding({"facts": {"last_event_age": 91, "silent_after": 40.0}}),
        stream.finding({"facts": {"last_event_age": 361, "silent_after": 360.0}}),
        stream.finding({}),
        *spool.findings({"pictures": 3, "oldest_age": 7200, "days_left": 0.2, "dead_letter": 1}, {"disk": "full"}),
    ]
    assert levels(seen) == ["FAIL", "FAIL", "WARN", "FAIL", *["WARN"] * 4, "FAIL", "WARN", "WARN"]
    assert all(one.remedy for one in seen)


def test_a_healthy_device_passes() -> None:
    frame = {"bytes": 300_000, "width": 1920, "height": 1080, "brightness": 90.0, "sharpness": 410.2}
    seen = [
        camera.finding(frame),
        power.finding(0),
        stream.finding({"facts": {"last_event_age": 12.0}, "degraded": {}}),
        stream.finding({"facts": {"last_event_age": 179.0, "silent_after": 360.0}, "degraded": {}}),
        *spool.findings({"pictures": 0, "reports": 0, "days_left": 19.0}, {}),
    ]
    assert levels(seen) == ["PASS"] * 5
    assert "1920x1080" in seen[0].text


def test_a_black_picture_is_worth_a_warning() -> None:
    frame = {"bytes": 20_000, "width": 640, "height": 480, "brightness": 0.4, "sharpness": 0.1}
    assert camera.finding(frame).level == "WARN"


def test_the_example_knows_every_setting_and_a_typing_error_is_none() -> None:
    known = env_file.known_keys((TREE / ".env.device.example").read_text())
    assert {"DEVICE_ID", "CAMERA_SOURCE", "UPDATE_URL", "VIDEO_GID", "UPDATE_SOAK"} <= known
    assert "CAMERA_SOURSE" not in known


def test_a_worn_card_is_told_and_a_new_one_is_not() -> None:
    lives = [Life("mmcblk0", 2, 1), Life("mmcblk0", 10, 1), Life("mmcblk0", 1, 2), Life("mmcblk0", 0, 3)]
    found = list(card.wear(lives))
    assert levels(found) == ["PASS", "WARN", "WARN", "WARN"]
    assert "at most 20 %" in found[0].text and "90 to 100 %" in found[1].text and "few spare" in found[3].text


@pytest.mark.parametrize(("level", "expected"), [(-52.0, "PASS"), (-81.0, "WARN")])
def test_weak_wifi_is_told(level: float, expected: str) -> None:
    assert levels(wifi.findings({"wlan0": Signal(level)})) == [expected]


def test_a_hot_processor_is_told() -> None:
    assert [heat.finding(degrees).level for degrees in (61.0, 85.0)] == ["PASS", "WARN"]


NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "location", "level", "word"),
    [
        (200, "", "PASS", "answers"),
        (404, "", "PASS", "answers"),
        (401, "", "PASS", "answers"),
        (302, "http://portal.example/login", "FAIL", "captive portal"),
        (302, "https://cloud.example/login", "PASS", "answers"),
        (407, "", "FAIL", "password"),
        (503, "", "WARN", "503"),
    ],
)
def test_an_answer_is_judged_by_what_a_cloud_would_say(status: int, location: str, level: str, word: str) -> None:
    found = network.answer_finding("https://cloud.example", status, location)
    assert found.level == level
    assert word in found.text


def test_http_that_leads_to_https_is_a_wrong_api_url() -> None:
    assert network.answer_finding("http://c.example", 301, "https://c.example/").level == "FAIL"


@pytest.mark.parametrize(("days", "level"), [(60, "PASS"), (3, "WARN"), (-1, "WARN")])
def test_a_certificate_near_its_end_is_told(days: int, level: str) -> None:
    ends = (NOW + timedelta(days=days)).strftime("%b %d %H:%M:%S %Y GMT")
    assert network.certificate_finding("TLSv1.3", ends, NOW).level == level


@pytest.mark.parametrize(
    ("skew", "synchronised", "fallback", "level", "fix"),
    [
        (0.4, True, True, "PASS", False),
        (0.4, False, True, "PASS", False),
        (0.4, False, False, "WARN", True),
        (None, False, True, "WARN", False),
        (-31_536_000.0, False, True, "WARN", True),
        (3600.0, True, True, "WARN", False),
    ],
)
def test_the_clock(skew: float | None, synchronised: bool, fallback: bool, level: str, fix: bool) -> None:
    found = clock.finding(skew, synchronised, fallback)
    assert (found.level, bool(found.fix)) == (level, fix)


@pytest.mark.parametrize(
    ("value", "level", "word"),
    [
        ({}, "WARN", "unknown"),
        ({"BackendState": "NeedsLogin"}, "WARN", "NeedsLogin"),
        ({"BackendState": "Running", "Self": {"DNSName": "visant-a1.tail.ts.net."}}, "PASS", "visant-a1.tail.ts.net"),
        ({"BackendState": "Running", "Self": {"KeyExpiry": "2026-11-28T12:00:00Z"}}, "WARN", "3 days"),
        ({"BackendState": "Running", "Self": {"KeyExpiry": "2027-11-28T12:00:00Z"}}, "PASS", "connected"),
        ({"BackendState": "Running", "Self": {"KeyExpiry": "soon"}}, "PASS", "connected"),
        ({"BackendState": "Running", "Self": None}, "PASS", "connected"),
    ],
)
def test_tailscale(value: dict[str, Any], level: str, word: str) -> None:
    found = tailscale.finding(value, NOW)
    assert found.level == level
    assert word in found.text


def test_errors_of_the_file_system_and_a_read_only_root_are_told() -> None:
    found = list(card.errors([FileSystem("mmcblk0p2", 0, 21_504_000_000)], read_only=False))
    assert levels(found) == ["PASS"]
    assert "22 GB" in found[0].text
    assert levels(card.errors([FileSystem("mmcblk0p2", 3, None)], read_only=True)) == ["FAIL", "WARN"]


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "expected"),
    [(9e9, 9_000, ["PASS"]), (1e9, 9_000, ["WARN"]), (5e8, 9_000, ["FAIL"]), (9e9, 400, ["PASS", "WARN"])],
)
def test_a_disk_that_is_full_of_bytes_or_of_files_is_told(
    free_bytes: float, free_files: int, expected: list[str]
) -> None:
    fixed, free = (
        Space(int(free_bytes), 32_000_000_000, free_files, 10_000),
        Space(50_000_000_000, 64_000_000_000, 0, 0),
    )
    assert levels(disk.findings({Path("/opt/visant"): fixed, Path("/var/lib"): free})) == expected


def test_what_nothing_reads_is_named_with_what_is_meant(tmp_path: Path) -> None:
    known = env_file.known_keys((TREE / ".env.device.example").read_text())
    file = tmp_path / ".env.device"
    found = list(settings.unknown({"CAMERA_SOURSE": "0", "https_proxy": "x", "FOO": "1"}, known, file))
    assert levels(found) == ["WARN"] * 3
    assert "CAMERA_SOURCE is meant?" in found[0].remedy
    assert any("HTTPS_PROXY is meant?" in one.remedy for one in found)
    file.write_text("DEVICE_ID=A\nbroken line\nexport DEVICE_ID=B\n# comment\n\n=5\n")
    texts = [one.text for one in settings._unread(file)]
    assert texts == [
        "line 2 is not KEY=VALUE: it does nothing",
        "line 6 is not KEY=VALUE: it does nothing",
        "DEVICE_ID is set 2 times: the last one counts",
    ]


def test_pools_that_are_no_json_are_a_finding_and_no_stack_trace(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    for text in ("{", "[]", "3"):
        file.write_text(text)
        assert levels(docker.pools(file)) == ["FAIL"], text


@pytest.mark.parametrize(
    ("asked", "state", "expected"),
    [("1min", "active", "PASS"), ("infinity", None, "PASS"), ("0", "inactive", "WARN"), ("30s", "inactive", "WARN")],
)
def test_a_watchdog_that_is_off_or_was_refused_is_told(
    tmp_path: Path, asked: str, state: str | None, expected: str
) -> None:
    if state:
        (tmp_path / "state").write_text(f"{state}\n")
    found = list(watchdog.finding(tmp_path, asked, "sudo install"))
    assert levels(found) == [expected]
    assert bool(found[0].remedy) == (expected == "WARN")


def test_hardware_without_a_watchdog_is_no_finding(tmp_path: Path) -> None:
    assert levels(watchdog.finding(tmp_path / "none", "0", "sudo install")) == []
    assert levels(watchdog.finding(tmp_path, None, "sudo install")) == []


DEBIAN = "# /etc/systemd/journald.conf\n[Journal]\n#Storage=auto\n#SystemMaxUse=\n"
VOLATILE = "# /usr/lib/systemd/journald.conf.d/40-rpi-volatile-storage.conf\n[Journal]\nStorage=volatile\n"
OURS = "# /etc/systemd/journald.conf.d/60-visant-journal.conf\n[Journal]\nStorage=persistent\nSystemMaxUse=128M\n"


@pytest.mark.parametrize(
    ("read", "folder", "expected"),
    [
        (DEBIAN, True, "may take a tenth of the card"),
        (DEBIAN, False, "kept in memory"),
        (DEBIAN + VOLATILE, True, "kept in memory"),
        (DEBIAN + VOLATILE + OURS, True, "at most 128M"),
        (DEBIAN + OURS + VOLATILE, True, "kept in memory"),
    ],
)
def test_a_journal_without_a_bound_or_in_memory_is_told(tmp_path: Path, read: str, folder: bool, expected: str) -> None:
    found = list(journal.finding(read, tmp_path if folder else tmp_path / "none", "sudo install"))
    assert levels(found) == ["PASS" if "128M" in expected else "WARN"]
    assert expected in found[0].text


def test_security_updates_are_judged_by_their_last_run(tmp_path: Path) -> None:
    on, now = 'APT::Periodic::Unattended-Upgrade "1";\n', 1_000_000_000.0

    def judged(periodic: str | None) -> list[tuple[str, str]]:
        return [(one.level, one.text) for one in security_updates.finding(tmp_path, periodic, now, "sudo install")]

    assert judged(None) == []
    assert judged(on) == [("WARN", "updates of the system wait for a person")], "apt wants it and it is not there"
    for folder in ("usr/bin", "var/lib/apt/periodic", "run"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/bin/unattended-upgrade").touch()
    assert judged('APT::Periodic::Unattended-Upgrade "0";\n')[0][0] == "WARN"
    assert judged(on) == [("PASS", "Debian's security updates are set up, and have not run yet")]
    stamp = tmp_path / "var/lib/apt/periodic/unattended-upgrades-stamp"
    stamp.touch()
    os.utime(stamp, (now - 3 * 86_400, now - 3 * 86_400))
    assert judged(on) == [("PASS", "updates last ran 72 h ago")]
    os.utime(stamp, (now - 9 * 86_400, now - 9 * 86_400))
    assert judged(on) == [("WARN", "updates last ran 9 days ago")]
    (tmp_path / "run/reboot-required").touch()
    assert judged(on)[1] == ("WARN", "an update waits for a restart")


@pytest.mark.parametrize(("day", "text", "level"), [(105e6, "105 MB", "PASS"), (10_486e6, "10486 MB", "WARN")])
def test_what_is_written_to_the_card_is_told_as_a_day(day: float, text: str, level: str) -> None:
    found = writes.finding(day)
    assert (found.level, text in found.text) == (level, True)
