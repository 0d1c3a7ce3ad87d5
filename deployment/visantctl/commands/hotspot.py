"""`visantctl hotspot`: the hotspot with which this device gets its WiFi."""

from __future__ import annotations

import argparse
import os

from visantctl.errors import Misconfigured, Problem
from visantctl.host import qr
from visantctl.network import hotspot, hotspot_service

HELP = "the hotspot with which this device gets its WiFi: setup gives it a name and a password, show prints them"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("action", choices=("setup", "show", "off"))
    parser.add_argument("--open", action="store_true", help="setup: no password; anybody nearby can change the WiFi")
    parser.add_argument("--new", action="store_true", help="setup: another name and password than now")
    parser.add_argument("--qr", action="store_true", help="show: for a phone's camera as well")


def main(options: argparse.Namespace) -> int:
    """0. Only `show` prints the password, so that the others' output may go to a log."""
    if os.geteuid():
        raise Misconfigured(f"not root: sudo visantctl hotspot {options.action}")
    if options.action == "off":
        hotspot_service.stop()
        print("the hotspot is off, also after a reboot; on again: sudo visantctl hotspot setup")
        return 0
    if options.action == "setup":
        wanted = _wanted(options)
        print(hotspot_service.setup(wanted))
        print(f"hotspot {wanted.ssid}, {'password: sudo visantctl hotspot show' if wanted.password else 'open'}")
        return 0
    found = hotspot.read(hotspot_service.CONF)
    if found is None:
        raise Problem("no hotspot is set up: sudo visantctl hotspot setup")
    print(f"hotspot {found.ssid}, {f'password {found.password}' if found.password else 'open'}, {hotspot.PORTAL}")
    if options.qr:
        print(qr.terminal(qr.wifi(found.ssid, found.password)) or "no QR code: sudo apt-get install qrencode")
    return 0


def _wanted(options: argparse.Namespace) -> hotspot.Hotspot:
    before = hotspot.read(hotspot_service.CONF)
    made = hotspot.invented()
    # Printed labels stay true: what is there is kept. Comitup's own name, `comitup-<nnn>`, is nobody's choice.
    kept = before if before and not options.new and "<" not in before.ssid else made
    return hotspot.Hotspot(kept.ssid, "") if options.open else kept
