"""The machine: power, heat, memory limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.programs import ask

_HOT = 80.0
"""Degrees Celsius: where a Pi begins to slow down."""


def power(sensors: Path = Path("/sys/class/hwmon")) -> Iterator[Finding]:
    """Undervoltage: from the firmware where `vcgencmd` is, else from the kernel's own sensor of it."""
    match = re.fullmatch(r"throttled=0x([0-9a-fA-F]+)", ask("vcgencmd", "get_throttled") or "")
    if match:
        yield power_finding(int(match.group(1), 16))
        return
    for name in sorted(sensors.glob("hwmon*/name")):
        alarm = name.with_name("in0_lcrit_alarm")
        if name.read_text().strip() == "rpi_volt" and alarm.is_file():
            yield power_finding(0x1 if alarm.read_text().strip() == "1" else 0)


def power_finding(bits: int) -> Finding:
    """Bits of `vcgencmd get_throttled`: 0 undervoltage now, 2 throttled now, 16 and 18 the same since boot."""
    remedy = "use the official 27 W power supply and its own cable; take other USB devices off"
    if bits & 0x1:
        return fail("power", "undervoltage now: pictures and card are at risk", remedy)
    if bits & 0x10000:
        return warn("power", "undervoltage since the last boot", remedy)
    if bits & 0x40004:
        return warn("power", "the processor was slowed down since the last boot", "more air, or the active cooler")
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
