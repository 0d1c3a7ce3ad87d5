"""`visantctl prepare-clone`: makes this device the image of a fleet; --ids writes the cards' files and labels."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from visantctl.errors import Misconfigured, Problem
from visantctl.fleet import card_list, clone
from visantctl.host.env_file import EXAMPLE, known_keys
from visantctl.host.systemd import systemctl
from visantctl.wiring import Device

HELP = "make this device the image of a fleet; with --ids, write the file of each card and a sheet of labels"
_IDENTITY = (
    "device id and token, undelivered state, WiFi networks, hotspot name, Tailscale's state, host name, machine id, "
    "SSH host keys, logs and shell histories"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--yes", "-y", action="store_true", help="ask nothing")
    parser.add_argument("--poweroff", action="store_true", help="switch off at the end: the card can be copied then")
    parser.add_argument(
        "--delete-undelivered", action="store_true", help="also with pictures the cloud has not got yet"
    )
    group = parser.add_argument_group("files for the cards (changes nothing on this host, needs no root)")
    group.add_argument("--ids", metavar="LIST.CSV", help="one id a line, or a header line with DEVICE_ID; - is stdin")
    group.add_argument("--out", type=Path, default=Path("cards"), metavar="FOLDER", help="default: cards")


def main(options: argparse.Namespace) -> int:
    """0 when the image is ready to copy, or the files are written."""
    return _cards(options) if options.ids else _image(options)


def _cards(options: argparse.Namespace) -> int:
    try:
        raw = sys.stdin.buffer.read() if options.ids == "-" else Path(options.ids).read_bytes()
    except OSError as error:
        raise Misconfigured(f"--ids {options.ids}: {error.strerror}") from None
    known = known_keys(EXAMPLE.read_text(encoding="utf-8"))
    name = "standard input" if options.ids == "-" else options.ids
    written = card_list.write(raw, name, options.out, known)
    print(f"{len(written)} cards in {options.out}, for example {written[0]}")
    print(f"labels to print: {options.out / card_list.SHEET}; both hold secrets, keep them as you keep keys")
    return 0


def _image(options: argparse.Namespace) -> int:
    if os.geteuid():
        raise Misconfigured("not root: sudo visantctl prepare-clone")
    device = Device.here()
    waiting = clone.undelivered(device)
    if waiting and not options.delete_undelivered:
        raise Problem(
            f"{waiting} pictures are not delivered yet: connect the device and wait, or give --delete-undelivered"
        )
    print(f"This takes from this device: {_IDENTITY}.")
    print("It keeps: the release, its settings, Docker, users and their keys, the registry's login.")
    if not options.yes and sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Problem("nothing was changed")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the way in may be one that goes: Tailscale, a hotspot
    for note in clone.prepare(device, Path("/")):
        print(f"note: {note}")
    print("This is an image now: switch it off and copy its card. Started again, it waits for visant.env like a copy.")
    if options.poweroff:
        systemctl("poweroff")
    return 0
