"""The signal of each wireless interface in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.readings import Signal, radio_signals
from visantctl.wiring import Device

ORDER = 150
_WEAK = -75
"""dBm: where WiFi begins to lose packets."""


def check(device: Device) -> Iterator[Finding]:
    """Nothing where there is no WiFi."""
    yield from findings(radio_signals())


def findings(signals: Mapping[str, Signal]) -> Iterator[Finding]:
    """By interface."""
    for name, one in signals.items():
        if one.dbm < _WEAK:
            yield warn(
                "wifi", f"{name}: {one.dbm:.0f} dBm is weak", "move the device or the access point; an antenna; a cable"
            )
        else:
            yield good("wifi", f"{name}: {one.dbm:.0f} dBm")
