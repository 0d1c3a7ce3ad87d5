"""What kernel, firmware and Debian say of a host, and what they say where they are missing or out of their minds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from visantctl.host import readings
from visantctl.host.readings import (
    THROTTLED,
    UNDERVOLTAGE,
    FileSystem,
    Life,
    Signal,
    bytes_a_day,
    card_lives,
    file_systems,
    radio_signals,
    root_is_read_only,
    space,
    throttling,
    uplink,
)

WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   52.  -58.  -256        0      0      0      8      0        0
"""
"""A Raspberry Pi OS 12's /proc/net/wireless, in WiFi."""
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
docker0\t00001EAC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
_NONE, _HEAD = "0" * 32, "Iface\tDestination\n"
ROUTES_6 = "".join(
    f"{to} {length} {_NONE} 00 {via} 00000400 00000001 00000000 {flags} {interface:>8}\n"
    for to, length, via, flags, interface in (
        ("fe80" + "0" * 28, "40", _NONE, "00000001", "wlan0"),
        (_NONE, "00", _NONE, "00200200", "lo"),
        (_NONE, "00", "fe80" + "0" * 27 + "1", "00000003", "wlan0"),
    )
)
IW = """\
Connected to 3c:37:86:aa:bb:cc (on wlan0)
	SSID: site
	freq: 5180
	signal: -47 dBm
	tx bitrate: 433.3 MBit/s
"""


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What they answer, by the first two words; the others are not installed."""
    answers: dict[str, str] = {}
    monkeypatch.setattr(readings, "ask", lambda *words, **_: answers.get(" ".join(words[:2])))
    return answers


def files(root: Path, content: dict[str, str]) -> Path:
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("said", "undervoltage", "throttled"),
    [
        ("throttled=0x0", (False, False), (False, False)),
        ("throttled=0x50000", (False, True), (False, True)),
        ("throttled=0x50005", (True, True), (True, True)),
        ("throttled=0x4", (False, False), (True, False)),
    ],
)
def test_the_firmware_tells_undervoltage_and_throttling_now_and_since_boot(
    programs: dict[str, str], said: str, undervoltage: tuple[bool, bool], throttled: tuple[bool, bool]
) -> None:
    programs["vcgencmd get_throttled"] = said
    found = throttling()
    assert found is not None
    assert (found.now(UNDERVOLTAGE), found.since_boot(UNDERVOLTAGE)) == undervoltage
    assert (found.now(THROTTLED), found.since_boot(THROTTLED)) == throttled


@pytest.mark.parametrize("said", ["", "VCHI initialization failed", "throttled=0x", "throttled=0x123456789", "0x5"])
def test_the_kernels_own_sensor_tells_undervoltage_where_the_firmware_does_not(
    tmp_path: Path, programs: dict[str, str], said: str
) -> None:
    programs["vcgencmd get_throttled"] = said
    files(tmp_path, {"hwmon0/name": "cpu_thermal\n", "hwmon1/name": "rpi_volt\n"})
    assert throttling(tmp_path) is None
    for text, low in (("0\n", False), ("1\n", True)):
        files(tmp_path, {"hwmon1/in0_lcrit_alarm": text})
        found = throttling(tmp_path)
        assert found is not None and (found.now(UNDERVOLTAGE), found.since_boot(UNDERVOLTAGE)) == (low, None)


def test_a_signal_is_read_from_the_kernels_table_and_else_from_iw(tmp_path: Path, programs: dict[str, str]) -> None:
    root = files(tmp_path, {"wireless": WIRELESS})
    (root / "net/wlan0/wireless").mkdir(parents=True)
    assert radio_signals(root / "wireless", root / "net") == {"wlan0": Signal(-58.0, 74.3)}
    programs["iw dev"] = IW
    assert radio_signals(root / "none", root / "net") == {"wlan0": Signal(-47.0)}
    programs["iw dev"] = "Not connected."
    assert radio_signals(root / "none", root / "net") == {}


@pytest.mark.parametrize(
    "row", ["wlan0: 0000 52. 198. -256", "wlan0: 0000 52. 0. 0", "wlan0: 0000", "wlan0", "wlan0: 0 a b c", "\0\xff"]
)
def test_a_table_that_tells_no_decibels_is_none(tmp_path: Path, programs: dict[str, str], row: str) -> None:
    files(tmp_path, {"wireless": "".join(WIRELESS.splitlines(keepends=True)[:2]) + row + "\n"})
    assert radio_signals(tmp_path / "wireless", tmp_path / "net") == {}


def test_the_way_out_is_the_default_route_with_the_lowest_metric(tmp_path: Path) -> None:
    assert uplink(tmp_path) is None
    files(tmp_path, {"ipv6_route": ROUTES_6, "route": _HEAD})
    assert uplink(tmp_path) == "wlan0"
    files(tmp_path, {"route": ROUTES})
    assert uplink(tmp_path) == "eth0"


def test_a_card_tells_its_life_where_it_can(tmp_path: Path) -> None:
    assert card_lives(tmp_path) == []
    one = {"mmcblk0/device/life_time": "0x00 0x00\n", "mmcblk0/device/pre_eol_info": "0x00\n"}
    assert card_lives(files(tmp_path, one)) == []
    files(tmp_path, {"mmcblk0/device/life_time": "0x01 0x0b\n", "mmcblk0/device/pre_eol_info": "0x02\n"})
    assert card_lives(tmp_path) == [Life("mmcblk0", 11, 2)]
    files(tmp_path, {"mmcblk0/device/life_time": "0xff rubbish\n", "mmcblk0/device/pre_eol_info": "0x01\n"})
    assert card_lives(tmp_path) == [Life("mmcblk0", 0, 1)]


def test_the_file_systems_errors_and_writes_are_read(tmp_path: Path) -> None:
    files(tmp_path, {"mmcblk0p2/errors_count": "3\n", "mmcblk0p2/lifetime_write_kbytes": "21000000\n"})
    files(tmp_path, {"sda1/errors_count": "0\n", "sdb1/errors_count": "many\n", "features/lazy": ""})
    assert file_systems(tmp_path) == [FileSystem("mmcblk0p2", 3, 21_504_000_000), FileSystem("sda1", 0, None)]


def test_a_root_that_the_kernel_writes_no_more_is_told(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    assert root_is_read_only(mounts) is None
    for mode, expected in (("rw,noatime", False), ("ro,noatime", True)):
        mounts.write_text(f"/dev/mmcblk0p2 / ext4 {mode} 0 0\n/dev/mmcblk0p1 /boot/firmware vfat ro 0 0\n\n")
        assert root_is_read_only(mounts) is expected


def test_what_is_written_to_the_card_is_told_as_a_day_once_the_start_is_long_past(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    files(tmp_path, {"fs/ext4/mmcblk0p2/session_write_kbytes": "102400\n", "uptime": "86400.00 1.0\n"})
    assert bytes_a_day([tmp_path], tmp_path, tmp_path / "uptime") is None, "an overlay, a disk of another kind"
    (tmp_path / "devices/mmcblk0p2").mkdir(parents=True)
    (tmp_path / "dev/block").mkdir(parents=True)
    link = tmp_path / f"dev/block/{os.major(number)}:{os.minor(number)}"
    link.symlink_to("../../devices/mmcblk0p2")
    assert bytes_a_day([tmp_path, tmp_path / "none"], tmp_path, tmp_path / "uptime") == 102_400 * 1024
    for odd in ("600.00 1.0\n", "", "nan 1.0", "inf"):
        files(tmp_path, {"uptime": odd})
        assert bytes_a_day([tmp_path], tmp_path, tmp_path / "uptime") is None, odd


def test_the_space_of_what_is_not_there_is_not_known(tmp_path: Path) -> None:
    found = space(tmp_path)
    assert found is not None and 0 <= found.free_bytes <= found.total_bytes
    assert space(tmp_path / "none") is None
