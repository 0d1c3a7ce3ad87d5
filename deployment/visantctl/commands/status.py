"""`visantctl status`: what should run, what runs, and how the last update went."""

from __future__ import annotations

import argparse
import json

from visantctl.service.status import as_text, status
from visantctl.wiring import Device

HELP = "what should run, what runs, and how the last update went"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--json", action="store_true", help="for programs")


def main(options: argparse.Namespace) -> int:
    """0 when all is well, starting, or being updated; 1 otherwise."""
    value = status(Device.here())
    print(json.dumps(value, indent=2, sort_keys=True) if options.json else as_text(value))
    return 0 if value["state"] in ("ok", "starting", "updating") else 1
