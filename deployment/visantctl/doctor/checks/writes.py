"""What this host writes to its card in a day, all programs together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.wiring import Device

ORDER = 115
_DAY, _HOUR = 86_400.0, 3_600.0
_MUCH = 10e9
"""Bytes a day: they overwrite a card of 32 GB 114 times a year."""


def check(device: Device) -> Iterator[Finding]:
    """Since the file systems were mounted; nothing in the first hour, which is full of the start's own writes."""
    seconds = float(Path("/proc/uptime").read_text().split()[0])
    yield from finding(Path("/sys/fs/ext4"), seconds)


def finding(ext4: Path, seconds: float) -> Iterator[Finding]:
    """`seconds`: since the start. The kernel counts what it wrote to each ext4 (ABI/testing/sysfs-fs-ext4)."""
    counts = [int(file.read_text()) for file in sorted(ext4.glob("*/session_write_kbytes"))]
    if not counts or seconds < _HOUR:
        return
    day = sum(counts) * 1024 / seconds * _DAY
    text = f"{day / 1e6:.0f} MB a day to the card since the last start"
    if day > _MUCH:
        yield warn("writes", text, "who? sudo apt-get install iotop; sudo iotop -ao")
    else:
        yield good("writes", text)
