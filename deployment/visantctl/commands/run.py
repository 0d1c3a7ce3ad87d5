"""visantctl run."""

from __future__ import annotations

import argparse

from visantctl.device import Device
from visantctl.run import run

HELP = "start the services and stay in the foreground with their logs (what systemd runs)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def main(options: argparse.Namespace) -> int:
    """Until SIGTERM, which stops the services."""
    return run(Device.here())
