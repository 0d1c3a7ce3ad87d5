"""What the connector says of the command stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.doctor.heartbeat import heartbeat
from visantctl.wiring import Device

ORDER = 70
_SILENT = 90.0
"""Seconds without an event: a plain cloud pings every 60. Longer where the connector says so: METERED=1 asks for rarer
ones."""
_RESTART = "sudo systemctl restart visant-device-v2; visantctl logs connector"


def check(device: Device) -> Iterator[Finding]:
    """The connector's own word."""
    beat = heartbeat(device, "connector")
    if beat is None:
        yield fail("stream", "the connector says nothing", _RESTART)
    else:
        yield finding(beat)


def finding(beat: Mapping[str, Any]) -> Finding:
    """From the connector's heartbeat."""
    facts = beat.get("facts") or {}
    reason, age = (beat.get("degraded") or {}).get("cloud"), facts.get("last_event_age")
    said = "" if age is None else f", last event {age:.0f} s ago"
    if reason:
        return fail("stream", f"no command stream: {reason}{said}", "visantctl logs connector")
    if age is None:
        return warn("stream", "nothing came from the cloud yet", "look again in a minute; visantctl logs connector")
    if age > max(_SILENT, facts.get("silent_after") or 0.0):
        return warn("stream", f"the last event came {age:.0f} s ago", "visantctl logs connector")
    return good("stream", f"confirmed by the cloud{said}")
