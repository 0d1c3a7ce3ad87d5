"""Space on the card: bytes and inodes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.wiring import Device

ORDER = 100
_LOW, _EMPTY = 2_000_000_000, 600_000_000
"""Free bytes below which it is worth a line, and below which pictures are refused (SPOOL_MIN_FREE_BYTES and a bit)."""
_FEW = 0.05
"""Of all inodes."""


def check(device: Device) -> Iterator[Finding]:
    """Of what holds the device and what holds the Engine's data."""
    yield from space([device.place.root, Path("/var/lib")])


def space(paths: list[Path]) -> Iterator[Finding]:
    """Bytes and inodes, of the fullest."""
    there = [path for path in paths if path.exists()]
    free = min(shutil.disk_usage(path).free for path in there)
    text, remedy = f"{free / 1e9:.1f} GB free", "sudo journalctl --vacuum-size=100M; sudo apt-get clean"
    if free < _EMPTY:
        yield fail("disk", f"{text}: pictures are refused", remedy)
    elif free < _LOW:
        yield warn("disk", text, remedy)
    else:
        yield good("disk", text)
    for path in there:
        value = os.statvfs(path)
        if value.f_files and value.f_favail < value.f_files * _FEW:
            yield warn(
                "disk", f"{path}: only {value.f_favail} more files fit", "which folder holds so many? du --inodes -d2 /"
            )
