"""What waits to be delivered, and what the uploader says of its work."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.doctor.heartbeat import heartbeat
from visantctl.wiring import Device

ORDER = 80
_RESTART = "sudo systemctl restart visant-device-v2; visantctl logs uploader"


def check(device: Device) -> Iterator[Finding]:
    """Counted now, in the uploader's container, and the uploader's own word."""
    uploader = device.running("uploader")
    if uploader is None:
        yield fail("spool", "the uploader does not run: pictures are neither taken nor delivered", _RESTART)
        return
    lines = device.engine.run("exec", uploader, "visant-uploader", "spool", "ls", "--json", timeout=60).splitlines()
    beat = heartbeat(device, "uploader") or {}
    yield from findings(json.loads(lines[-1])["spool"], beat.get("degraded") or {})


def findings(spool: Mapping[str, Any], degraded: Mapping[str, Any]) -> Iterator[Finding]:
    """How many wait, since when, and how long there is room; what is in a folder of its own; what is degraded."""
    pictures, reports = spool.get("pictures") or 0, spool.get("reports") or 0
    age, left = spool.get("oldest_age"), spool.get("days_left")
    text = f"{pictures} pictures and {reports} reports wait for delivery"
    text += f", the oldest for {_span(age)}" if pictures + reports and age else ""
    text += ", how long there is room is not known yet" if left is None else f", room for {left:.1f} days"
    if left is not None and left < 1:
        yield fail(
            "spool", text, "deliver them: is the cloud reachable (above)? Or copy them: see OPERATIONS.md, spool_full"
        )
    elif pictures + reports and age and age > 600:
        yield warn("spool", text, "is the cloud reachable (above)? visantctl logs uploader")
    else:
        yield good("spool", text)
    for key, what in (("dead_letter", "refused by the cloud"), ("quarantine", "damaged"), ("held", "of another cloud")):
        if spool.get(key):
            yield warn("spool", f"{spool[key]} {what}", f"visantctl spool ls; see OPERATIONS.md, {key}")
    for part, reason in degraded.items():
        yield warn("uploader", f"{part}: {reason}", "visantctl logs uploader")


def _span(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"
