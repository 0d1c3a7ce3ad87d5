"""What systemd starts at boot and at night."""

from __future__ import annotations

from collections.abc import Iterator

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.programs import ask
from visantctl.host.units import ASKED, DEVICE, TIMER
from visantctl.wiring import Device

ORDER = 40


def check(device: Device) -> Iterator[Finding]:
    """Whether each is enabled and runs."""
    for name, what in (
        (DEVICE, "the device"),
        (TIMER, "the update timer"),
        ("visant-clock.timer", "the clock's fallback"),
        (ASKED, "the cloud's word to the updater"),
    ):
        enabled, active = ask("systemctl", "is-enabled", name), ask("systemctl", "is-active", name)
        if enabled is None and active is None:
            yield warn("units", "systemd does not answer", "boot the device normally")
            return
        judged = fail if name == DEVICE else warn
        if enabled != "enabled":  # disabled, masked: somebody's will, perhaps
            text = f"{name} is {enabled or 'missing'} and {active}: {what} does not come back by itself"
            undo = "unmask" if enabled == "masked" else "enable --now"
            yield judged("units", text, f"sudo systemctl {undo} {name}, unless it is meant")
        elif active not in ("active", "activating", "reloading"):
            text = f"{name} is {enabled} and {active}: {what} does not run"
            yield judged("units", text, f"sudo systemctl start {name}", fix=f"systemctl start {name}")
        else:
            yield good("units", f"{name} is enabled and {active}")
