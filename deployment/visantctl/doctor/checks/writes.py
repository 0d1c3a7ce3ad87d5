"""What this host writes to its card in a day, all programs together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.readings import bytes_a_day
from visantctl.wiring import Device

ORDER = 115
_MUCH = 10e9
"""Bytes a day: they overwrite a card of 32 GB 114 times a year."""


def check(device: Device) -> Iterator[Finding]:
    """Of what holds the device and what holds the Engine's data; nothing in the first hour, full of the start's own."""
    day = bytes_a_day([device.place.root, Path("/var/lib")])
    if day is not None:
        yield finding(day)


def finding(day: float) -> Finding:
    """`day`: bytes."""
    text = f"{day / 1e6:.0f} MB a day to the card since the last start"
    if day > _MUCH:
        return warn("writes", text, "who? sudo apt-get install iotop; sudo iotop -ao")
    return good("writes", text)
