"""Which part of the fleet takes a release first: decided on the device, without asking anyone."""

from __future__ import annotations

import hashlib

from visantctl.errors import Misconfigured


def bucket(device_id: str, version: str) -> int:
    """0..99, the same each time for a device and a version; another version spreads the risk anew."""
    digest = hashlib.sha256(f"{device_id}\n{version}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100


def takes_part(device_id: str, version: str, percent: int) -> bool:
    """True when this device belongs to the first `percent` of the fleet; a growing percentage only adds devices."""
    if percent >= 100:
        return True
    if not device_id:
        raise Misconfigured("DEVICE_ID is empty: a partial rollout cannot be decided; set it in .env.device")
    return bucket(device_id, version) < percent
