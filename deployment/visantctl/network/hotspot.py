"""The hotspot with which a technician gives a device its WiFi: Comitup's settings for it.

Comitup (Debian's package) raises it whenever no known network is in range; its portal is http://10.41.0.1. The name
and the password are this device's own and live in `/etc/comitup.conf`, readable by root alone.
"""

from __future__ import annotations

import configparser
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from visantctl.errors import Misconfigured

PORTAL = "http://10.41.0.1"
OPEN = "open"
"""Given as a password: none. Too short to be one."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""None that a person mistakes for another, and none that needs a shift key on a phone."""
_MARK = "# visantctl hotspot"
_KEYS = ("ap_name", "ap_password", "enable_appliance_mode", "enable_nuke")


@dataclass(frozen=True)
class Hotspot:
    """`password` empty: anybody nearby may join, and change this device's WiFi."""

    ssid: str
    password: str


def invented(taken: set[str] | None = None) -> Hotspot:
    """`visant-XXXX`, none of `taken`, and a password of 60 bits."""
    while True:
        ssid = "visant-" + "".join(secrets.choice(_LETTERS) for _ in range(4))
        if ssid not in (taken or ()):
            break
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
    return Hotspot(ssid, "-".join(groups))


def check(ssid: str, password: str) -> None:
    """Misconfigured for what Comitup could not use; empty values are fine."""
    if ssid and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}", ssid):  # also its mDNS name
        raise Misconfigured(f"HOTSPOT_SSID={ssid!r} must be 1 to 32 letters, digits and hyphens, such as visant-AB12")
    # `%` is special in Comitup's file, and blanks at the ends get lost in it.
    if password and password != OPEN and (not re.fullmatch(r"[!-$&-~]([ -$&-~]{6,61}[!-$&-~])", password)):
        raise Misconfigured("HOTSPOT_PASSWORD must be 8 to 63 ASCII characters without %, or the word open")


def read(file: Path) -> Hotspot | None:
    """What `file` sets, as Comitup reads it; None where it sets no name. PermissionError: only root may."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(f"[DEFAULT]\n{text}")
    except configparser.Error:
        return None
    found = parser["DEFAULT"]
    return Hotspot(found["ap_name"], found.get("ap_password", "")) if found.get("ap_name") else None


def configured(text: str, wanted: Hotspot | None) -> str:
    """Comitup's file with these values, its comments kept; None takes name and password out."""
    kept = [line for line in text.splitlines() if not re.match(rf"({'|'.join(_KEYS)})\s*[:=]", line) and line != _MARK]
    while kept and not kept[-1].strip():
        kept.pop()
    if wanted is None:
        return "".join(f"{line}\n" for line in kept)
    check(wanted.ssid, wanted.password)
    # No forwarding between a second radio and the first; no wiping of networks by a jumper.
    ours = ["", _MARK, f"ap_name: {wanted.ssid}", "enable_appliance_mode: false", "enable_nuke: false"]
    if wanted.password:
        ours.insert(3, f"ap_password: {wanted.password}")
    return "".join(f"{line}\n" for line in kept + ours)
