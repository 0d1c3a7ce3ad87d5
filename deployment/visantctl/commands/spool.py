"""`visantctl spool`: pictures that wait for the cloud, through the uploader's own command."""

from __future__ import annotations

import argparse
import os

from visantctl.errors import Problem
from visantctl.wiring import Device

HELP = "pictures that wait for the cloud: ls, show, requeue, export, import (the uploader's own command)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """All go on to the uploader."""
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help="for example ls; --help says more")


def main(options: argparse.Namespace) -> int:
    """Becomes `visant-uploader spool` in its container."""
    device = Device.here()
    uploader = device.running("uploader")
    if uploader is None:
        raise Problem("the uploader does not run: sudo systemctl start visant-device-v2")
    words = ["docker", "exec", uploader, "visant-uploader", "spool", *options.words]
    os.execvpe("docker", words, device.engine.environment())
