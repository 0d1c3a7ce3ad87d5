"""`visantctl restore`: the release's files as they were published, and owners and modes as they must be."""

from __future__ import annotations

import argparse

from visantctl.errors import Problem
from visantctl.host import permissions
from visantctl.host.lock import update_lock
from visantctl.releases import published
from visantctl.wiring import Device

HELP = "put the release's files back as they were published, and owners and modes as they must be"


def main(options: argparse.Namespace) -> int:
    """0; names what changed. Changed services run as they did until the next restart of visant-device-v2."""
    device = Device.here()
    place = device.place
    with update_lock(place.state, "restore", patience=device.settings.start_timeout):
        if count := permissions.mend(place):
            print(f"owner and mode of {count} files and folders put right")
        for link in (place.current, place.previous):
            if version := place.linked_version(link):
                try:
                    for name in published.restore(place, version):
                        print(f"restored {place.release(version) / name}")
                except Problem as problem:
                    print(f"{version}: {problem}")
    return 0
