"""What kernel, firmware and Debian say of this host. Each is read here alone: doctor judges it, telemetry carries it.

Where there is no such thing, or its answer is no answer, the reading is None or empty: most hosts lack one or another.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from visantctl.host.programs import ask

HOUR, DAY = 3_600.0, 86_400.0
UNDERVOLTAGE, THROTTLED = 0x1, 0x4
"""Bits of `vcgencmd get_throttled`: now."""
SINCE_BOOT = 16
"""By so many bits further left: at any time since boot."""
_WORST_CARD = 11
"""Of JEDEC's DEVICE_LIFE_TIME_EST: 1 for up to 10 %, ..., 10 for up to 100 %, 11 for more; others are reserved."""
_QUALITY_OF = 70.0
"""The kernel's table has the quality of a wireless link as one of so many (net/wireless/wext-compat.c)."""


@dataclass(frozen=True)
class Throttling:
    """`bits` as `vcgencmd get_throttled` has them."""

    bits: int
    remembers: bool
    """Whether the bits since boot are known as well."""

    def now(self, bit: int) -> bool:
        """Whether it is so at this moment."""
        return bool(self.bits & bit)

    def since_boot(self, bit: int) -> bool | None:
        """Whether it was so since the last boot."""
        return bool(self.bits & bit << SINCE_BOOT) if self.remembers else None


def throttling(sensors: Path = Path("/sys/class/hwmon")) -> Throttling | None:
    """From the firmware where `vcgencmd` is, else the kernel's own sensor of undervoltage, which knows only of now."""
    match = re.fullmatch(r"throttled=0x([0-9a-fA-F]{1,8})", ask("vcgencmd", "get_throttled") or "")
    if match:
        return Throttling(int(match.group(1), 16), remembers=True)
    for name in sorted(sensors.glob("hwmon*/name")):
        if _text(name) == "rpi_volt" and (alarm := _number(name.with_name("in0_lcrit_alarm"))) is not None:
            return Throttling(UNDERVOLTAGE if alarm == 1 else 0, remembers=False)
    return None


@dataclass(frozen=True)
class Signal:
    """Of a wireless interface."""

    dbm: float
    quality_percent: float | None = None


def radio_signals(
    table: Path = Path("/proc/net/wireless"), classes: Path = Path("/sys/class/net")
) -> dict[str, Signal]:
    """By interface in use: from the kernel's table, else from iw(8)."""
    found = {}
    for line in (_text(table) or "").splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        try:
            quality, level = float(fields[1].rstrip(".")), float(fields[2].rstrip("."))
        except (IndexError, ValueError):
            continue
        if -256 < level < 0:  # other drivers count from 0 to 100, or have nothing to say
            known = 0 <= quality <= _QUALITY_OF
            found[name.strip()] = Signal(level, round(quality / _QUALITY_OF * 100, 1) if known else None)
    if found:
        return found
    for folder in sorted(classes.glob("*/wireless")):
        match = re.search(r"signal: (-\d{1,3}) dBm", ask("iw", "dev", folder.parent.name, "link") or "")
        if match:
            found[folder.parent.name] = Signal(float(match.group(1)))
    return found


def uplink(net: Path = Path("/proc/net")) -> str | None:
    """The interface of the default route: of IPv4, else of IPv6."""
    best: tuple[int, str] | None = None
    for line in (_text(net / "route") or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and fields[6].isdigit():
            best = min(best or (1 << 33, ""), (int(fields[6]), fields[0]))
    for line in (_text(net / "ipv6_route") or "").splitlines() if best is None else ():
        fields = line.split()
        if len(fields) == 10 and set(fields[0]) == {"0"} and fields[1] == "00" and fields[9] != "lo":
            return fields[9]
    return best[1] if best else None


@dataclass(frozen=True)
class FileSystem:
    """An ext4, as the kernel counts since it was made."""

    name: str
    errors: int
    written_bytes: int | None


def file_systems(ext4: Path = Path("/sys/fs/ext4")) -> list[FileSystem]:
    """All that are mounted."""
    found = []
    for file in sorted(ext4.glob("*/errors_count")):
        errors, written = _number(file), _number(file.with_name("lifetime_write_kbytes"))
        if errors is not None:
            found.append(FileSystem(file.parent.name, errors, None if written is None else written * 1024))
    return found


def root_is_read_only(mounts: Path = Path("/proc/mounts")) -> bool | None:
    """Whether the kernel does not write to the root any more."""
    text = _text(mounts)
    if text is None:
        return None
    lines = (line.split() for line in text.splitlines())
    return any(len(words) > 3 and words[1] == "/" and "ro" in words[3].split(",") for words in lines)


@dataclass(frozen=True)
class Life:
    """What eMMC and newer cards tell of their used life, in steps of 10 % (JEDEC eMMC 5.0: life_time, pre_eol_info)."""

    name: str
    used: int
    """1: up to 10 %, ..., 10: up to 100 %, 11: more; 0: not told."""
    pre_eol: int
    """1: normal, 2: 80 % of the spare blocks are used, 3: urgent; 0: not told."""


def card_lives(blocks: Path = Path("/sys/block")) -> list[Life]:
    """Of every card that says anything."""
    found = []
    for file in sorted(blocks.glob("mmcblk*/device/life_time")):
        words = [_parsed(word, 16) or 0 for word in (_text(file) or "").split()]
        used = max((word for word in words if 0 <= word <= _WORST_CARD), default=0)
        pre_eol = _number(file.with_name("pre_eol_info"), 16) or 0
        if used or pre_eol:
            found.append(Life(file.parts[-3], used, pre_eol if 0 <= pre_eol <= 3 else 0))
    return found


def bytes_a_day(folders: Iterable[Path], sys: Path = Path("/sys"), uptime: Path = Path("/proc/uptime")) -> float | None:
    """Written by the whole host to the file systems of `folders`, at the rate since the start, when they were mounted.

    None in the first hour, which is full of the start's own, and for what is no ext4 on a block device. The kernel
    counts what it wrote since then (its ABI/testing/sysfs-fs-ext4).
    """
    try:
        seconds = float((_text(uptime) or "").split()[0])
        devices = {folder.stat().st_dev for folder in folders if folder.exists()}
    except (OSError, ValueError, IndexError):
        return None
    names = [(sys / f"dev/block/{os.major(one)}:{os.minor(one)}").resolve().name for one in devices]
    written = [
        count for name in names if (count := _number(sys / "fs/ext4" / name / "session_write_kbytes")) is not None
    ]
    if not written or not math.isfinite(seconds) or seconds < HOUR:
        return None
    return sum(written) * 1024 / seconds * DAY


@dataclass(frozen=True)
class Space:
    """Of one file system, as an ordinary user may use it."""

    free_bytes: int
    total_bytes: int
    free_files: int
    total_files: int
    """0: it has no fixed number of them."""


def space(path: Path) -> Space | None:
    """Where `path` lies; None where there is no such path."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail, found.f_files)


def reboot_wanted(root: Path = Path("/")) -> bool:
    """Whether an update of the host waits for a restart: Debian's note of it."""
    return (root / "run/reboot-required").exists()


def _text(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return None


def _number(file: Path, base: int = 10) -> int | None:
    return _parsed(_text(file) or "", base)


def _parsed(text: str, base: int) -> int | None:
    try:
        return int(text, base)
    except ValueError:
        return None
