"""`visantctl run`: start the services and stay in the foreground (what systemd runs)."""

from __future__ import annotations

import argparse

from visantctl.service.run import run
from visantctl.wiring import Device

HELP = "start the services and stay in the foreground (what systemd runs)"


def main(options: argparse.Namespace) -> int:
    """Until SIGTERM, which stops the services."""
    return run(Device.here())
