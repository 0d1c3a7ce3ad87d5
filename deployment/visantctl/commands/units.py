"""`visantctl units`: puts the release's systemd units, log rotation and command where the host looks."""

from __future__ import annotations

import argparse

from visantctl.errors import Problem
from visantctl.host import units
from visantctl.wiring import Device

HELP = "put the release's systemd units, log rotation and the visantctl command where the host looks for them"


def main(options: argparse.Namespace) -> int:
    """0; names what changed."""
    device = Device.here()
    version = device.place.linked_version(device.place.current)
    if version is None:
        raise Problem("no release is installed here: run install_device.sh")
    for path in units.install(device.place, version):
        print(f"wrote {path}")
    return 0
