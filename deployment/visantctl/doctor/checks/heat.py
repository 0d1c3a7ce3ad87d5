"""The processor's temperature."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.wiring import Device

ORDER = 130
_HOT = 80.0
"""Degrees Celsius: where a Pi begins to slow down."""


def check(device: Device) -> Iterator[Finding]:
    """Nothing where there is no sensor."""
    try:
        degrees = int(Path("/sys/class/thermal/thermal_zone0/temp").read_text()) / 1000
    except (OSError, ValueError):
        return
    yield finding(degrees)


def finding(degrees: float) -> Finding:
    """`degrees`: Celsius."""
    if degrees >= _HOT:
        return warn("heat", f"{degrees:.0f} °C: the processor slows down", "more air, or the active cooler")
    return good("heat", f"{degrees:.0f} °C")
