"""The name that a device has in networks, made of its id."""

from __future__ import annotations

import re

_LONGEST = 63
"""Bytes of one label (RFC 1035, 2.3.4)."""


def host_name(device_id: str) -> str:
    """`visant-` and the id, with what host names lack (RFC 1123, 2.1: only letters, digits, hyphens) as hyphens."""
    inner = re.sub(r"[^a-z0-9]+", "-", device_id.lower()).strip("-")
    return f"visant-{inner}"[:_LONGEST].rstrip("-")
