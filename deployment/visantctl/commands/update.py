"""`visantctl update`: look for a release, take it, watch it, keep it or go back."""

from __future__ import annotations

import argparse
from pathlib import Path

from visantctl.releases.source import Archive, Channel, Source
from visantctl.updates.update import update
from visantctl.wiring import Device

HELP = "look for a release, take it, watch it, keep it or go back"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--now", action="store_true", help="do not wait for a capture in flight")
    parser.add_argument(
        "--force", action="store_true", help="even when it is older, quarantined, or not rolled out to this device"
    )
    parser.add_argument("--fetch-only", action="store_true", help="bring it here and change nothing that runs")
    parser.add_argument("--from", dest="archive", metavar="RELEASE.TAR", type=Path, help="an offline release archive")


def main(options: argparse.Namespace) -> int:
    """0 also when there was nothing to do; see `visantctl.errors` for the other codes."""
    device = Device.here()
    if not options.archive and not device.settings.update_url:
        device.log.info("UPDATE_URL is not set in .env.device: this device takes releases only by --from FILE")
        return 0
    source: Source = Archive(options.archive, device.log) if options.archive else Channel(device.settings, device.log)
    device.log.info(update(device, source, now=options.now, force=options.force, fetch_only=options.fetch_only))
    return 0
