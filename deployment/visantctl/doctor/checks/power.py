"""Undervoltage: the commonest fault of a Pi, and one that looks like any other."""

from __future__ import annotations

from collections.abc import Iterator

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.readings import SINCE_BOOT, THROTTLED, UNDERVOLTAGE, throttling
from visantctl.wiring import Device

ORDER = 120


def check(device: Device) -> Iterator[Finding]:
    """Nothing where neither firmware nor kernel can tell."""
    found = throttling()
    if found is not None:
        yield finding(found.bits)


def finding(bits: int) -> Finding:
    """`bits` as `readings.Throttling` has them."""
    remedy = "use the official 27 W power supply and its own cable; take other USB devices off"
    if bits & UNDERVOLTAGE:
        return fail("power", "undervoltage now: pictures and card are at risk", remedy)
    if bits & UNDERVOLTAGE << SINCE_BOOT:
        return warn("power", "undervoltage since the last boot", remedy)
    if bits & (THROTTLED | THROTTLED << SINCE_BOOT):
        return warn("power", "the processor was slowed down since the last boot", "more air, or the active cooler")
    return good("power", "no undervoltage since the last boot")
