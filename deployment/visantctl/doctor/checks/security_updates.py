"""Security updates of the system: whether they come by themselves, and did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.programs import ask
from visantctl.host.readings import DAY, reboot_wanted
from visantctl.wiring import Device

ORDER = 190
_LATE = 7.0
"""Days without a run: apt-daily-upgrade.timer makes one each day."""


def check(device: Device) -> Iterator[Finding]:
    """By apt's settings and its note of the last run."""
    periodic = ask("apt-config", "dump", "APT::Periodic")
    yield from finding(Path("/"), periodic, time.time(), f"sudo {device.place.installer}")


def finding(root: Path, periodic: str | None, now: float, installer: str) -> Iterator[Finding]:
    """`periodic`: apt's settings of that name, None where there is no apt; `now`: seconds since the epoch."""
    if periodic is None:
        return
    if 'APT::Periodic::Unattended-Upgrade "1";' not in periodic or not (root / "usr/bin/unattended-upgrade").exists():
        yield warn("security", "updates of the system wait for a person", f"{installer} --security-updates")
        return
    days = _days_since(root / "var/lib/apt/periodic/unattended-upgrades-stamp", now)
    if days is None:
        yield good("security", "Debian's security updates are set up, and have not run yet")
    elif days > _LATE:
        remedy = "systemctl status apt-daily-upgrade.timer; sudo unattended-upgrade --debug"
        yield warn("security", f"updates last ran {days:.0f} days ago", remedy)
    else:
        yield good("security", f"updates last ran {days * 24:.0f} h ago")
    if reboot_wanted(root):
        yield warn("security", "an update waits for a restart", "sudo reboot: triggers that wait are not lost")


def _days_since(file: Path, now: float) -> float | None:
    try:
        return (now - file.stat().st_mtime) / DAY
    except OSError:
        return None
