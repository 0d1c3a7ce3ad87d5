"""The card itself: errors that the file system has counted, and wear where the hardware tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.wiring import Device

ORDER = 110
_REPLACE = "copy what you need and replace the card before it fails"


def check(device: Device) -> Iterator[Finding]:
    """Both."""
    yield from errors(Path("/sys/fs/ext4"), Path("/proc/mounts"))
    yield from wear(Path("/sys/block"))


def errors(ext4: Path, mounts: Path) -> Iterator[Finding]:
    """What the kernel counted since the file system was made, and a root that it no longer writes to."""
    for line in mounts.read_text().splitlines():
        words = line.split()
        if len(words) > 3 and words[1] == "/" and "ro" in words[3].split(","):
            yield fail("card", "the root file system is read-only: the kernel met an error", f"sudo dmesg; {_REPLACE}")
    for file in sorted(ext4.glob("*/errors_count")):
        count = int(file.read_text())
        written = _number(file.with_name("lifetime_write_kbytes"))
        size = "" if written is None else f", {written / 1e6:.0f} GB written to it so far"
        if count:
            yield warn("card", f"{file.parent.name}: {count} errors in the file system{size}", _REPLACE)
        else:
            yield good("card", f"{file.parent.name}: no errors{size}")


def wear(blocks: Path) -> Iterator[Finding]:
    """eMMC and newer cards tell their used life in steps of 10 % (JEDEC eMMC 5.0: life_time, pre_eol_info)."""
    for file in sorted(blocks.glob("mmcblk*/device/life_time")):
        used = max((int(word, 16) for word in file.read_text().split()), default=0)
        reserve = _number(file.with_name("pre_eol_info"), 16) or 0
        name = file.parts[-3]
        if used >= 9 or reserve >= 2:
            told = f"has used {(used - 1) * 10} to {used * 10} % of its life" if used else "has few spare blocks left"
            yield warn("card", f"{name} {told}", _REPLACE)
        elif used:
            yield good("card", f"{name} has used at most {used * 10} % of its life")


def _number(file: Path, base: int = 10) -> int | None:
    try:
        return int(file.read_text().strip(), base)
    except (OSError, ValueError):
        return None
