"""The signal of each wireless interface in use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.programs import ask
from visantctl.wiring import Device

ORDER = 150
_WEAK = -75
"""dBm: where WiFi begins to lose packets."""


def check(device: Device) -> Iterator[Finding]:
    """Nothing where there is no WiFi."""
    yield from signal(Path("/proc/net/wireless"), Path("/sys/class/net"))


def signal(table: Path, classes: Path) -> Iterator[Finding]:
    """In dBm: from the kernel's table, else from iw(8)."""
    try:
        rows = [line.partition(":") for line in table.read_text().splitlines()[2:]]
        levels = {name.strip(): float(rest.split()[2].rstrip(".")) for name, _, rest in rows if len(rest.split()) > 2}
    except (OSError, ValueError):
        levels = {}
    if not levels:
        for folder in sorted(classes.glob("*/wireless")):
            found = re.search(r"signal: (-?\d+)", ask("iw", "dev", folder.parent.name, "link") or "")
            if found:
                levels[folder.parent.name] = float(found.group(1))
    for name, level in levels.items():
        if level < _WEAK:
            yield warn(
                "wifi", f"{name}: {level:.0f} dBm is weak", "move the device or the access point; an antenna; a cable"
            )
        else:
            yield good("wifi", f"{name}: {level:.0f} dBm")
