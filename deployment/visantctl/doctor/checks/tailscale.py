"""WiFi and remote access, where there are any."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.programs import ask

_WEAK = -75
"""dBm: where WiFi begins to lose packets."""
_RENEW = 14
"""Days before a key's end that are worth a line."""


def wifi(table: Path = Path("/proc/net/wireless"), classes: Path = Path("/sys/class/net")) -> Iterator[Finding]:
    """Signal of each wireless interface in use, dBm; from the kernel's table, else from iw(8)."""
    try:
        rows = [line.partition(":") for line in table.read_text().splitlines()[2:]]
        levels = {name.strip(): float(rest.split()[2].rstrip(".")) for name, _, rest in rows if len(rest.split()) > 2}
    except (OSError, ValueError):
        levels = {}
    if not levels:
        for folder in sorted(classes.glob("*/wireless")):
            found = re.search(r"signal: (-?\d+)", ask("iw", "dev", folder.parent.name, "link") or "")
            if found:
                levels[folder.parent.name] = float(found.group(1))
    for name, level in levels.items():
        if level < _WEAK:
            yield warn(
                "wifi", f"{name}: {level:.0f} dBm is weak", "move the device or the access point; an antenna; a cable"
            )
        else:
            yield good("wifi", f"{name}: {level:.0f} dBm")


def tailscale() -> Iterator[Finding]:
    """Remote access, where it is installed."""
    if not shutil.which("tailscale"):
        return
    try:
        value = json.loads(ask("tailscale", "status", "--json") or "{}")
    except ValueError:
        value = {}
    yield tailscale_finding(value if isinstance(value, dict) else {}, datetime.now(UTC))


def tailscale_finding(value: dict[str, Any], now: datetime) -> Finding:
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
