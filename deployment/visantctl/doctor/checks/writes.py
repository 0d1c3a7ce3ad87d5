"""What this host writes to its card in a day, all programs together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.wiring import Device

ORDER = 115
_DAY, _HOUR = 86_400.0, 3_600.0
_MUCH = 10e9
"""Bytes a day: they overwrite a card of 32 GB 114 times a year."""


def check(device: Device) -> Iterator[Finding]:
    """Of what holds the device and what holds the Engine's data; nothing in the first hour, full of the start's own."""
    seconds = float(Path("/proc/uptime").read_text().split()[0])
    there = [path for path in (device.place.root, Path("/var/lib")) if path.exists()]
    yield from finding(Path("/sys"), {path.stat().st_dev for path in there}, seconds)


def finding(sys: Path, devices: set[int], seconds: float) -> Iterator[Finding]:
    """`devices`: numbers of the file systems; `seconds`: since the start, when they were mounted.

    The kernel counts what it wrote to an ext4 since then (its ABI/testing/sysfs-fs-ext4).
    """
    written = [count for one in devices if (count := _kilobytes(sys, one)) is not None]
    if not written or seconds < _HOUR:
        return
    day = sum(written) * 1024 / seconds * _DAY
    text = f"{day / 1e6:.0f} MB a day to the card since the last start"
    if day > _MUCH:
        yield warn("writes", text, "who? sudo apt-get install iotop; sudo iotop -ao")
    else:
        yield good("writes", text)


def _kilobytes(sys: Path, device: int) -> int | None:
    """None for what is no ext4 on a block device."""
    name = (sys / f"dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    try:
        return int((sys / "fs/ext4" / name / "session_write_kbytes").read_text())
    except (OSError, ValueError):
        return None
