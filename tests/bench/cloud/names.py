"""How the bench's devices are called, and what they show to be let in."""

import hashlib

API_TOKEN = "va_bench"


def device_id(number: int) -> str:
    """Of the device with this number, from 0."""
    return f"bench-{number:05d}"


def device_token(number: int) -> str:
    """Its token."""
    return f"vd_bench_{number}"


def digest(token: str) -> str:
    """The hash by which the cloud knows a token: SHA-256, 64 hex digits."""
    return hashlib.sha256(token.encode()).hexdigest()
