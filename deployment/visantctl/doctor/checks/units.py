"""What systemd starts at boot and at night."""

from __future__ import annotations

from collections.abc import Iterator

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.programs import ask
from visantctl.wiring import Device

ORDER = 40


def check(device: Device) -> Iterator[Finding]:
    """Whether each is enabled and runs."""
    for name, what in (
        ("visant-device-v2.service", "the device"),
        ("visant-update.timer", "the update timer"),
        ("visant-clock.timer", "the clock's fallback"),
    ):
        enabled, active = ask("systemctl", "is-enabled", name), ask("systemctl", "is-active", name)
        if enabled is None and active is None:
            yield warn("units", "systemd does not answer", "boot the device normally")
            return
        if enabled != "enabled" or active not in ("active", "activating", "reloading"):
            yield fail(
                "units",
                f"{name} is {enabled or 'missing'} and {active}: {what} does not come back by itself",
                f"sudo systemctl enable --now {name}",
                "systemctl",
                "enable",
                "--now",
                name,
            )
        else:
            yield good("units", f"{name} is enabled and {active}")
