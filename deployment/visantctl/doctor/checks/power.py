"""Undervoltage: the commonest fault of a Pi, and one that looks like any other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.programs import ask
from visantctl.wiring import Device

ORDER = 120


def check(device: Device) -> Iterator[Finding]:
    """Nothing where neither firmware nor kernel can tell."""
    yield from undervoltage(Path("/sys/class/hwmon"))


def undervoltage(sensors: Path) -> Iterator[Finding]:
    """From the firmware where `vcgencmd` is, else from the kernel's own sensor of it."""
    match = re.fullmatch(r"throttled=0x([0-9a-fA-F]+)", ask("vcgencmd", "get_throttled") or "")
    if match:
        yield finding(int(match.group(1), 16))
        return
    for name in sorted(sensors.glob("hwmon*/name")):
        alarm = name.with_name("in0_lcrit_alarm")
        if name.read_text().strip() == "rpi_volt" and alarm.is_file():
            yield finding(0x1 if alarm.read_text().strip() == "1" else 0)


def finding(bits: int) -> Finding:
    """Bits of `vcgencmd get_throttled`: 0 undervoltage now, 2 throttled now, 16 and 18 the same since boot."""
    remedy = "use the official 27 W power supply and its own cable; take other USB devices off"
    if bits & 0x1:
        return fail("power", "undervoltage now: pictures and card are at risk", remedy)
    if bits & 0x10000:
        return warn("power", "undervoltage since the last boot", remedy)
    if bits & 0x40004:
        return warn("power", "the processor was slowed down since the last boot", "more air, or the active cooler")
    return good("power", "no undervoltage since the last boot")
