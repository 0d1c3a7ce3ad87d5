"""`visantctl selftest`: prove that this visantctl can run here; an update asks the candidate's before it switches."""

from __future__ import annotations

import argparse

from visantctl import UPDATER_VERSION, cli
from visantctl.doctor.checkup import all_checks
from visantctl.updates.pending import Pending
from visantctl.wiring import Device

HELP = "prove that this visantctl can run here; an update asks the candidate's before it switches"


def main(options: argparse.Namespace) -> int:
    """Loads every command and check, and reads the settings and the state, as they are on this device."""
    for name in cli.names():
        cli.command(name)
    all_checks()
    device = Device.here()
    Pending.read(device.place.state)
    device.ledger.history()
    print(f"updater {UPDATER_VERSION}, {len(cli.names())} commands")
    return 0
