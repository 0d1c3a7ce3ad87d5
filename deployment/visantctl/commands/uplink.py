"""`visantctl uplink`: gives the Docker Engine the proxy and CA file of .env.device."""

from __future__ import annotations

import argparse

from visantctl.network import engine_uplink
from visantctl.network.uplink import context
from visantctl.wiring import Device

HELP = "give the Docker Engine the proxy and CA file of .env.device (each start of the service does it too)"


def main(options: argparse.Namespace) -> int:
    """0; restarts the Engine where something changed."""
    device = Device.here()
    context(device.settings.proxies)  # a CA file without a certificate is named before anything is written
    device.place.prepare()
    if not engine_uplink.apply(device.place, device.log):
        print("nothing to change")
    return 0
