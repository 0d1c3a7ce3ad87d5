"""Remote access, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from visantctl.doctor.finding import Finding, good, warn
from visantctl.network import remote_access
from visantctl.wiring import Device

ORDER = 160
_RENEW = 14
"""Days before a key's end that are worth a line."""


def check(device: Device) -> Iterator[Finding]:
    """Nothing where it is not."""
    if remote_access.installed():
        yield finding(remote_access.state(), datetime.now(UTC))


def finding(value: dict[str, Any], now: datetime) -> Finding:
    """From `tailscale status --json`."""
    state = value.get("BackendState") or "unknown"
    if state != "Running":
        return warn("tailscale", f"not connected ({state})", "sudo tailscale up; is tailscaled running?")
    me = value.get("Self") or {}
    name = str(me.get("DNSName") or me.get("HostName") or "").rstrip(".")
    try:
        days = (datetime.fromisoformat(str(me.get("KeyExpiry"))) - now).total_seconds() / 86400
    except (ValueError, TypeError):
        days = None  # a key that never ends
    if days is not None and days < _RENEW:
        return warn(
            "tailscale",
            f"connected as {name}, and its key ends in {days:.0f} days",
            "disable key expiry for this machine in the admin console, or: sudo tailscale up --force-reauth",
        )
    return good("tailscale", f"connected as {name}" if name else "connected")
