"""`visantctl take-over`: from the git-based version to this one (install_device.sh does it), and back again."""

from __future__ import annotations

import argparse

from visantctl.errors import Problem
from visantctl.migration import migrate, old_units, record
from visantctl.wiring import Device

HELP = "from the git-based version to this one (install_device.sh does it), and back again"


def arguments(parser: argparse.ArgumentParser) -> None:
    """One of them."""
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--names", action="store_true", help="the old services on this host")
    one.add_argument("--settings", action="store_true", help="their settings, as they are used here")
    one.add_argument("--prepare", action="store_true", help="note them, carry their settings over")
    one.add_argument("--open", action="store_true", help="exit 0 where one was begun and has no result yet")
    one.add_argument("--start", action="store_true", help="with the release that was fetched; waits for the result")
    one.add_argument("--go-on", action="store_true", help="what its systemd unit runs, also after a power cut")
    one.add_argument("--back", action="store_true", help="the old service again, as it was")


def main(options: argparse.Namespace) -> int:
    """1 where the old service runs again."""
    device = Device.here()
    if options.names:
        print(", ".join(one.name for one in old_units.find(device.place.units) if one.name in old_units.SERVICES))
    elif options.settings:
        for key, value in migrate.settings(device).items():
            print(f"{key}={value}")
    elif options.prepare:
        device.place.prepare()
        if migrate.prepare(device) is None:
            raise Problem("no service of the git-based version is on this host")
    elif options.open:
        known = record.read(device.place)
        return 0 if known is not None and known.open else 1
    elif options.start:
        migrate.begin(device)
    elif options.go_on:
        return 0 if migrate.go_on(device) else 1
    else:
        migrate.go_back(device, "an operator went back")
    return 0
