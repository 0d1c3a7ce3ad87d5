"""`visantctl stop-if-disabled`: a device that nobody wants to run is stopped (what visant-disabled.service runs)."""

from __future__ import annotations

import argparse

from visantctl.host.lock import update_lock
from visantctl.host.programs import ask
from visantctl.host.units import DEVICE
from visantctl.releases.stack import any_running
from visantctl.wiring import Device

HELP = "stop services that run although visant-device-v2.service is disabled and was not started by hand"


def main(options: argparse.Namespace) -> int:
    """0. Stopped cleanly, the services stay so at the Engine's next start."""
    enabled, active = ask("systemctl", "is-enabled", DEVICE), ask("systemctl", "is-active", DEVICE)
    if (enabled or "enabled").startswith("enabled") or active not in ("inactive", "failed"):
        return 0
    device = Device.here()
    version = device.ledger.good
    if version is None:
        return 0
    with update_lock(device.place.state, "stop", patience=device.settings.start_timeout) as lock:
        device = device.holding(lock)
        device.engine.wait(device.settings.engine_patience)
        if any_running(device.engine, device.settings.project):
            device.log.info(f"stopping the services: {DEVICE} is {enabled}")
            device.stack(version).stop()
    return 0
