"""Which private addresses Docker may use here: none that the site uses already.

Docker's own default is 172.17.0.0/16 upwards and then 192.168.0.0/16, which is where many sites' networks are; a
clash makes the site, or the cloud behind its VPN, unreachable from the device.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from typing import Any

from visantctl.host.programs import ask

Network = ipaddress.IPv4Network
_CANDIDATES = ("172.30.0.0/16", "172.26.0.0/16", "10.213.0.0/16", "10.87.0.0/16", "192.168.224.0/20", "198.18.0.0/16")
"""Private ranges that few sites use; the last is set apart for measurements and routed nowhere."""
_OWN = ("docker", "br-", "veth")
_SIZE = 26
"""Prefix of one Compose network: 62 addresses, and 1,024 networks in a /16."""


def routes_in_use(table: list[dict[str, Any]]) -> list[Network]:
    """Networks of `ip -json route show table all` that are the site's, not Docker's own; the default route is none."""
    found = []
    for route in table:
        destination = str(route.get("dst", ""))
        if str(route.get("dev", "")).startswith(_OWN) or destination in ("default", "0.0.0.0/0"):
            continue
        try:
            network = ipaddress.ip_network(destination, strict=False)
        except ValueError:
            continue
        if isinstance(network, Network) and not network.is_loopback and not network.is_multicast:
            found.append(network)
    return found


def clashes(pools: Iterable[str], used: Iterable[Network]) -> list[str]:
    """`pool overlaps route`, one text a clash."""
    taken = list(used)
    return [
        f"{pool} overlaps {route}"
        for pool in pools
        for route in taken
        if ipaddress.ip_network(pool, strict=False).overlaps(route)
    ]


def choose(used: Iterable[Network]) -> str:
    """The first candidate that overlaps nothing; ValueError when the site uses them all."""
    taken = list(used)
    for candidate in _CANDIDATES:
        if not clashes([candidate], taken):
            return candidate
    raise ValueError("every address range that Docker could use is routed here: set default-address-pools by hand")


def daemon_settings(before: dict[str, Any], used: Iterable[Network]) -> dict[str, Any]:
    """daemon.json with pools that fit; what somebody set and fits is kept."""
    taken = list(used)
    own = [str(one.get("base")) for one in before.get("default-address-pools", ())]
    if own and not clashes([*own, *([before["bip"]] if before.get("bip") else [])], taken):
        return before
    base = Network(choose(taken))
    bridge, rest = next(base.subnets(new_prefix=_SIZE)), list(base.subnets(prefixlen_diff=1))[1]
    return {
        **before,
        "bip": f"{next(bridge.hosts())}/{_SIZE}",
        "default-address-pools": [{"base": str(rest), "size": _SIZE}],
    }


def site_routes() -> list[Network]:
    """The host's routes now; empty where `ip` is missing."""
    try:
        return routes_in_use(json.loads(ask("ip", "-json", "-4", "route", "show", "table", "all") or "[]"))
    except ValueError:
        return []
