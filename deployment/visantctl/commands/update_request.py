"""`visantctl update-request`: heed what the cloud asked of the updater (what visant-update-request.service runs)."""

from __future__ import annotations

import argparse

from visantctl.errors import Refused
from visantctl.service.requests import request_file
from visantctl.service.run import start_check
from visantctl.updates.asked import heed
from visantctl.wiring import Device

HELP = "heed what the cloud asked of the updater: now, hold, resume or pin (what visant-update-request.service runs)"


def main(options: argparse.Namespace) -> int:
    """0; 4 for a file that is no request. The look for a release is a unit of its own."""
    device = Device.here()
    device.engine.wait(device.settings.engine_patience)
    device.place.prepare()
    try:
        heeded = heed(device.place, request_file(device))
    except Refused as refused:
        device.log.error(f"the cloud's word to the updater: {refused}")
        return refused.code
    if heeded is None:
        return 0
    request, look = heeded
    device.log.info(f"the cloud asks: {request.word} {request.version}".rstrip())
    device.ledger.tell_again()
    if look:
        start_check(device)
    return 0
