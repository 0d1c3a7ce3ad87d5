"""Where in the jitter of a schedule a device has its place."""

import hashlib
from datetime import timedelta


def share(*of: object) -> float:
    """In [0, 1), by the hash of these: the same for ever, and spread evenly over many."""
    text = "\0".join(str(one) for one in of)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def delay(schedule_id: int, device_key: str, jitter_seconds: float) -> timedelta:
    """By how much later than its slot this device fires; whole microseconds."""
    return timedelta(microseconds=int(share(schedule_id, device_key) * jitter_seconds * 1e6))
