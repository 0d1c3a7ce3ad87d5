"""The machine: disk, card, power, heat, memory limits, radio."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from visantctl.device import Device
from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.doctor.shell import ask

_LOW, _EMPTY = 2_000_000_000, 600_000_000
"""Free bytes below which it is worth a line, and below which pictures are refused (SPOOL_MIN_FREE_BYTES and a bit)."""
_HOT = 80.0
"""Degrees Celsius: where a Pi begins to slow down."""
_WEAK = -75
"""dBm: where WiFi begins to lose packets."""


def disk(device: Device) -> Iterator[Finding]:
    """Space and, for cards that say so, wear."""
    free = min(shutil.disk_usage(path).free for path in (device.place.root, Path("/var/lib")))
    text, remedy = f"{free / 1e9:.1f} GB free", "sudo journalctl --vacuum-size=100M; sudo apt-get clean"
    if free < _EMPTY:
        yield fail("disk", text, remedy)
    elif free < _LOW:
        yield warn("disk", text, remedy)
    else:
        yield good("disk", text)
    yield from wear(Path("/sys/block"))


def wear(blocks: Path) -> Iterator[Finding]:
    """eMMC and newer cards tell their used life in steps of 10 % (JEDEC eMMC 5.0, life_time)."""
    for file in sorted(blocks.glob("mmcblk*/device/life_time")):
        used = max((int(word, 16) for word in file.read_text().split()), default=0)
        if used >= 9:
            yield warn(
                "disk",
                f"{file.parts[-3]} has used {(used - 1) * 10} to {used * 10} % of its life",
                "replace the card before it fails",
            )


def power() -> Iterator[Finding]:
    """Undervoltage, where the firmware says so."""
    answer = ask("vcgencmd", "get_throttled")
    match = re.fullmatch(r"throttled=0x([0-9a-fA-F]+)", answer or "")
    if match:
        yield power_finding(int(match.group(1), 16))


def power_finding(bits: int) -> Finding:
    """Bits of `vcgencmd get_throttled`: 0 undervoltage now, 2 throttled now, 16 and 18 the same since boot."""
    remedy = "use the official 27 W power supply and its own cable"
    if bits & 0x1:
        return fail("power", "undervoltage now: pictures and card are at risk", remedy)
    if bits & 0x10000:
        return warn("power", "undervoltage since the last boot", remedy)
    return good("power", "no undervoltage since the last boot")


def heat(zone: Path = Path("/sys/class/thermal/thermal_zone0/temp")) -> Iterator[Finding]:
    """The processor's temperature, where there is a sensor."""
    try:
        degrees = int(zone.read_text()) / 1000
    except (OSError, ValueError):
        return
    if degrees >= _HOT:
        yield warn("heat", f"{degrees:.0f} °C: the processor slows down", "more air, or the active cooler")
    else:
        yield good("heat", f"{degrees:.0f} °C")


def memory() -> Iterator[Finding]:
    """Whether the kernel keeps the services' memory limits."""
    unified, old = Path("/sys/fs/cgroup/cgroup.controllers"), Path("/proc/cgroups")
    try:
        if unified.is_file():
            works = "memory" in unified.read_text().split()
        else:
            works = any(re.match(r"memory\s+\d+\s+\d+\s+1", line) for line in old.read_text().splitlines())
    except OSError:
        return
    if works:
        yield good("memory", "limits work")
    else:
        yield warn(
            "memory",
            "the kernel ignores memory limits",
            "add cgroup_enable=memory to /boot/firmware/cmdline.txt, then sudo reboot",
        )


def wifi(table: Path = Path("/proc/net/wireless")) -> Iterator[Finding]:
    """Signal of each wireless interface in use, dBm."""
    try:
        lines = table.read_text().splitlines()[2:]
    except OSError:
        return
    for line in lines:
        name, _, rest = line.partition(":")
        level = float(rest.split()[2].rstrip("."))
        if level < _WEAK:
            yield warn("wifi", f"{name.strip()}: {level:.0f} dBm is weak", "move the device or the access point")
        else:
            yield good("wifi", f"{name.strip()}: {level:.0f} dBm")


def tailscale() -> Iterator[Finding]:
    """Remote access, where it is installed."""
    if not shutil.which("tailscale"):
        return
    try:
        state = json.loads(ask("tailscale", "status", "--json") or "{}").get("BackendState", "unknown")
    except ValueError:
        state = "unknown"
    if state == "Running":
        yield good("tailscale", "connected")
    else:
        yield warn("tailscale", f"not connected ({state})", "sudo tailscale up")
