"""`visantctl boot`: repair an interrupted update and start the good release."""

from __future__ import annotations

import argparse

from visantctl.updates.boot import boot
from visantctl.wiring import Device

HELP = "repair an interrupted update and start the good release"


def main(options: argparse.Namespace) -> int:
    """Waits for another visantctl to end."""
    device = Device.here()
    boot(device, patience=device.settings.start_timeout)
    return 0
