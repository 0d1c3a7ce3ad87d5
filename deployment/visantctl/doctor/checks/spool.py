"""What the services say of the cloud: the command stream, and what waits to be delivered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.doctor.services import heartbeat, running
from visantctl.wiring import Device

_SILENT = 90.0
"""Seconds without an event: a plain cloud pings every 60."""
_RESTART = "sudo systemctl restart visant-device-v2; visantctl logs"


def stream(device: Device) -> Iterator[Finding]:
    """The connector's own word."""
    beat = heartbeat(device, "connector")
    if beat is None:
        yield fail("stream", "the connector says nothing", f"{_RESTART} connector")
    else:
        yield stream_finding(beat)


def stream_finding(beat: Mapping[str, Any]) -> Finding:
    """From the connector's heartbeat."""
    reason, age = (beat.get("degraded") or {}).get("cloud"), (beat.get("facts") or {}).get("last_event_age")
    said = "" if age is None else f", last event {age:.0f} s ago"
    if reason:
        return fail("stream", f"no command stream: {reason}{said}", "visantctl logs connector")
    if age is None:
        return warn("stream", "nothing came from the cloud yet", "look again in a minute; visantctl logs connector")
    if age > _SILENT:
        return warn("stream", f"the last event came {age:.0f} s ago", "visantctl logs connector")
    return good("stream", f"confirmed by the cloud{said}")


def spool(device: Device) -> Iterator[Finding]:
    """Counted now, in the uploader's container, and the uploader's own word."""
    uploader = running(device, "uploader")
    if uploader is None:
        yield fail(
            "spool", "the uploader does not run: pictures are neither taken nor delivered", f"{_RESTART} uploader"
        )
        return
    lines = device.engine.run("exec", uploader, "visant-uploader", "spool", "ls", "--json", timeout=60).splitlines()
    beat = heartbeat(device, "uploader") or {}
    yield from spool_findings(json.loads(lines[-1])["spool"], beat.get("degraded") or {})


def spool_findings(spool: Mapping[str, Any], degraded: Mapping[str, Any]) -> Iterator[Finding]:
    """How many wait, since when, and how long there is room; what is in a folder of its own; what is degraded."""
    pictures, reports = spool.get("pictures") or 0, spool.get("reports") or 0
    age, left = spool.get("oldest_age"), spool.get("days_left")
    text = f"{pictures} pictures and {reports} reports wait for delivery"
    text += f", the oldest for {_span(age)}" if pictures + reports and age else ""
    text += ", how long there is room is not known yet" if left is None else f", room for {left:.1f} days"
    if left is not None and left < 1:
        yield fail(
            "spool",
            text,
            "deliver them: is the cloud reachable (above)? Or copy them: see OPERATIONS.md, spool_full",
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
