"""The way to the cloud: name, connection, certificate, the stream, and what waits to be delivered."""

from __future__ import annotations

import socket
import ssl
import time
import urllib.error
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from visantctl.device import Device
from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.doctor.services import heartbeat
from visantctl.doctor.shell import ask
from visantctl.settings import read_env_file
from visantctl.uplink import opener

_SKEW = 30.0
"""Seconds between this clock and the cloud's that are worth a line."""
_SILENT = 90.0
"""Seconds without an event: a plain cloud pings every 60."""


def network(device: Device) -> Iterator[Finding]:
    """DNS, port, TLS and clock, in the order in which they fail."""
    url = read_env_file(device.place.env_file).get("API_URL", "")
    parts = urlsplit(url)
    if not parts.hostname:
        return
    if ask("nmcli", "-t", "networking", "connectivity", "check") == "portal":
        yield fail(
            "network",
            "this network wants somebody to sign in (captive portal)",
            "sign in with a phone for this device's MAC address, or use another network",
        )
    if not (device.settings.proxies or {}).get("HTTPS_PROXY"):
        try:
            socket.getaddrinfo(parts.hostname, None)
        except OSError as error:
            yield fail(
                "network",
                f"the name {parts.hostname} is not found ({error.strerror or error})",
                "is the network up, and API_URL right? nmcli device; resolvectl query NAME",
            )
            return
    try:
        with opener(device.settings.proxies).open(url, timeout=10) as answer:
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:  # it answered: that is what was asked
        date = error.headers.get("Date")
    except (OSError, ValueError) as error:
        yield _unreachable(url, getattr(error, "reason", error))
        return
    yield good("network", f"{url} answers")
    yield from _clock(date)


def _unreachable(url: str, reason: object) -> Finding:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return fail(
            "network",
            f"{url}: its certificate is not accepted ({reason.verify_message})",
            "an inspecting proxy? Put the site's CA into secrets/ and name it in SSL_CERT_FILE; "
            "a wrong clock does this too",
        )
    return fail(
        "network",
        f"{url} cannot be reached ({reason})",
        "is the port open in the site's firewall? HTTPS_PROXY in .env.device where it needs a proxy",
    )


def _clock(date: str | None) -> Iterator[Finding]:
    synchronised = ask("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    try:
        skew = time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        skew = None
    if skew is not None and abs(skew) > _SKEW:
        yield warn(
            "clock",
            f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the cloud",
            "timedatectl; is NTP (UDP 123) blocked? Pictures carry this clock's time",
        )
    elif synchronised == "no":
        yield warn("clock", "right, and not synchronised", "timedatectl; is NTP (UDP 123) blocked?")
    else:
        yield good("clock", "right" + ("" if skew is None else f", {abs(skew):.0f} s from the cloud's"))


def stream(device: Device) -> Iterator[Finding]:
    """The connector's own word."""
    beat = heartbeat(device, "connector")
    if beat is not None:
        yield stream_finding(beat)


def stream_finding(beat: Mapping[str, Any]) -> Finding:
    """From the connector's heartbeat."""
    reason, age = (beat.get("degraded") or {}).get("cloud"), (beat.get("facts") or {}).get("last_event_age")
    if reason:
        return fail("stream", f"no command stream: {reason}", "visantctl logs connector")
    if age is not None and age > _SILENT:
        return warn("stream", f"the last event came {age:.0f} s ago", "visantctl logs connector")
    return good("stream", "confirmed by the cloud" + ("" if age is None else f", last event {age:.0f} s ago"))


def spool(device: Device) -> Iterator[Finding]:
    """The uploader's own word."""
    beat = heartbeat(device, "uploader")
    if beat is not None:
        yield from spool_findings((beat.get("facts") or {}).get("spool") or {}, beat.get("degraded") or {})


def spool_findings(spool: Mapping[str, Any], degraded: Mapping[str, Any]) -> Iterator[Finding]:
    """From the uploader's heartbeat: how many wait, since when, and how long there is room."""
    waiting = (spool.get("pictures") or 0) + (spool.get("reports") or 0)
    age, left = spool.get("oldest_age"), spool.get("days_left")
    text = f"{waiting} wait for delivery" + (f", the oldest for {age / 60:.0f} min" if waiting and age else "")
    text += "" if left is None else f", room for {left:.1f} days"
    if left is not None and left < 1:
        yield fail("spool", text, "deliver them: is the cloud reachable? docker exec ... visant-uploader spool export")
    elif waiting and age and age > 600:
        yield warn("spool", text, "is the cloud reachable? visantctl logs uploader")
    else:
        yield good("spool", text)
    for key, what in (("dead_letter", "refused by the cloud"), ("quarantine", "damaged"), ("held", "of another cloud")):
        if spool.get(key):
            yield warn("spool", f"{spool[key]} {what}", "docker exec visant-uploader-1 visant-uploader spool ls")
    for part, reason in degraded.items():
        if part != "cloud":
            yield warn("uploader", f"{part}: {reason}", "visantctl logs uploader")
