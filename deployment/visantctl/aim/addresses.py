"""Where a technician's phone can reach this device: its own networks, never the internet."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from visantctl.errors import Misconfigured, Problem
from visantctl.host.programs import ask

Kind = Literal["hotspot", "lan", "tailscale"]
KINDS: tuple[Kind, ...] = ("hotspot", "lan", "tailscale")
"""In the order in which they are offered: who joined the hotspot has no other network."""
_OTHERS = ("docker", "br-", "veth", "lo")
_HOTSPOTS = (ipaddress.IPv4Network("10.41.0.0/24"), ipaddress.IPv4Network("10.42.0.0/24"))
"""Comitup's, and NetworkManager's own."""
_TAILSCALE = ipaddress.IPv4Network("100.64.0.0/10")


@dataclass(frozen=True)
class Reachable:
    """One IPv4 address of this host."""

    address: str
    interface: str
    kind: Kind


def reachable(table: list[dict[str, Any]]) -> list[Reachable]:
    """Of `ip -json -4 address show up`; public addresses are left out: the page must not stand in the internet."""
    found = []
    for link in table:
        name = str(link.get("ifname", ""))
        if name.startswith(_OTHERS):
            continue
        for one in link.get("addr_info") or ():
            try:
                address = ipaddress.IPv4Address(str(one.get("local")))
            except ValueError:
                continue
            kind = _kind(name, address)
            if kind is not None:
                found.append(Reachable(str(address), name, kind))
    return sorted(found, key=lambda one: KINDS.index(one.kind))


def _kind(interface: str, address: ipaddress.IPv4Address) -> Kind | None:
    if interface.startswith("tailscale") and address in _TAILSCALE:
        return "tailscale"
    if any(address in network for network in _HOTSPOTS):
        return "hotspot"
    return "lan" if address.is_private and not address.is_loopback else None


def choose(there: Iterable[Reachable], wanted: str) -> list[Reachable]:
    """Those that `wanted` means: `all`, a kind, an interface or an address. Misconfigured where it means none."""
    offered = list(there)
    if not offered:
        raise Problem("this device has no address in a network of its own now: ip -4 address; nmcli device")
    found = [one for one in offered if wanted in ("all", one.kind, one.interface, one.address)]
    if not found:
        names = ", ".join(f"{one.kind} ({one.interface}, {one.address})" for one in offered)
        raise Misconfigured(f"--listen {wanted!r}: there is only {names}")
    return found


def of_this_host() -> list[Reachable]:
    """As they are now. Problem where `ip` does not tell."""
    try:
        return reachable(json.loads(ask("ip", "-json", "-4", "address", "show", "up") or ""))
    except ValueError:
        raise Problem("the addresses of this device cannot be read: ip -json -4 address show up") from None
