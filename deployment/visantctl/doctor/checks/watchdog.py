"""The hardware watchdog: a system that hangs is restarted by it, and by nobody else where nobody is near."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.programs import ask
from visantctl.wiring import Device

ORDER = 180


def check(device: Device) -> Iterator[Finding]:
    """Nothing where the hardware has none."""
    asked = ask("systemctl", "show", "--property=RuntimeWatchdogUSec", "--value")
    yield from finding(Path("/sys/class/watchdog/watchdog0"), asked, f"sudo {device.place.installer}")


def finding(watchdog: Path, asked: str | None, installer: str) -> Iterator[Finding]:
    """`asked`: the time that systemd has for it, as systemctl prints it; `infinity` is the hardware's own."""
    if not watchdog.exists() or asked is None:
        return
    if asked in ("", "0", "0s"):
        yield warn("watchdog", "off: a system that hangs stays so until somebody pulls the plug", installer)
    elif _state(watchdog) == "inactive":
        why = "journalctl -b -g watchdog: before Linux 6.8 the Pi refuses RuntimeWatchdogSec above 15"
        yield warn("watchdog", f"systemd asks for {asked}, and it does not run", why)
    else:
        yield good("watchdog", f"a system that hangs is restarted ({asked})")


def _state(watchdog: Path) -> str:
    """`active`, `inactive`, or nothing from a kernel that does not tell."""
    try:
        return (watchdog / "state").read_text().strip()
    except OSError:
        return ""
