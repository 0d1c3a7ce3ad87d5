"""The part of the card that every computer can write: where `visant.env` comes from, and goes away again."""

from __future__ import annotations

import os
from pathlib import Path

from visantctl.errors import Problem
from visantctl.fleet import card
from visantctl.host import durable
from visantctl.host.log import Log

BOOTS = ("boot/firmware", "boot")
"""Where Raspberry Pi OS mounts it: bookworm and later, and before."""


def find(root: Path) -> Path:
    """The card's file; Problem names where it is looked for."""
    folders = [root / name for name in BOOTS if (root / name).is_dir()]
    for folder in folders:
        # FAT keeps no case, and Windows likes to hide a second ending.
        for path in sorted(folder.iterdir()):
            if path.name.lower() in (card.FILE, f"{card.FILE}.txt") and path.is_file():
                return path
    if not folders:
        raise Problem("there is no boot partition at /boot/firmware or /boot: is it mounted?")
    raise Problem(
        f"{folders[0] / card.FILE} is missing: put this card's file there "
        "(visantctl prepare-clone --ids makes them; it needs at least DEVICE_ID=...)"
    )


def read(path: Path) -> bytes:
    """At most a byte more than a card's file may have."""
    with path.open("rb") as file:
        return file.read(card.LARGEST + 1)


def take_away(log: Log, found: Path) -> None:
    """The file holds secrets, and anybody can read a card's boot partition."""
    try:
        with found.open("r+b") as file:  # FAT frees blocks without emptying them
            size = os.fstat(file.fileno()).st_size
            file.write(b"\0" * size)
            os.fsync(file.fileno())
        durable.remove_file(found)
    except OSError as error:
        log.warning(f"{found} could not be removed ({error.strerror}): it holds secrets, remove it by hand")
