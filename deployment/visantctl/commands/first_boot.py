"""`visantctl first-boot`: a copied card reads visant.env and becomes a device."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from visantctl.errors import Problem
from visantctl.fleet import clone
from visantctl.fleet.first_boot import FirstBoot
from visantctl.wiring import Device

HELP = "what visant-firstboot.service is: a copied card reads visant.env from its boot partition and becomes a device"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument(
        "--once", action="store_true", help="try once; exit code 1 and one line where something is missing"
    )


def main(options: argparse.Namespace) -> int:
    """0 once this card is somebody, or was before."""
    device = Device.here()
    if not clone.marker(device).exists():
        print("this is no copy that waits for its identity: nothing to do")
        return 0
    first = FirstBoot(device, Path("/"))
    stopping = threading.Event()
    if options.once:
        first.apply()
        return 0
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    first.wait_and_apply(stopping)
    if clone.marker(device).exists():
        raise Problem("stopped before this card became a device")
    return 0
