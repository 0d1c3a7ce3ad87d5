"""`visantctl history`: the updates of this device, oldest first."""

from __future__ import annotations

import argparse
import json

from visantctl.host.place import Place
from visantctl.updates.ledger import Ledger

HELP = "the updates of this device, oldest first"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--json", action="store_true", help="for programs: one JSON array")


def main(options: argparse.Namespace) -> int:
    """Prints at most the last few hundred events."""
    events = Ledger(Place.from_environment()).history()
    if options.json:
        print(json.dumps(events, indent=2, sort_keys=True))
        return 0
    for event in events:
        way = f"{event.get('from') or '-'} -> {event.get('to') or '-'}" if "to" in event or "from" in event else ""
        print("  ".join(filter(None, (event.get("at"), event.get("result"), way, event.get("reason")))))
    return 0
