"""`visantctl rollback`: go back to the previous release and stay there until a newer one comes."""

from __future__ import annotations

import argparse

from visantctl.updates.update import back
from visantctl.wiring import Device

HELP = "go back to the previous release and stay there until a newer one comes"


def main(options: argparse.Namespace) -> int:
    """The release that was left is quarantined, so that the next check does not bring it back."""
    device = Device.here()
    device.log.info(back(device))
    return 0
