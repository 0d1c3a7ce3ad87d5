"""Which addresses the cloud may send to for its users: none of its own network, unless ALERT_ALLOW_PRIVATE says so.

Whoever may make a channel chooses a URL that the cloud itself then asks; without this rule that would be a way to its
database, its neighbours, and the platform's metadata (OWASP: server-side request forgery). A name is resolved once and
the connection goes to that very address, so that a name which points elsewhere a moment later (DNS rebinding) gains
nothing; a name with one forbidden address is refused whole. Redirects are not followed (webhook.py).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

_NO_INTERNET = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20"),
        "168.63.129.16/32",  # Azure's host, from each of its machines: learn.microsoft.com, "What is IP address ..."
    )
)
"""IANA's special-purpose address registries (November 2026) where they are not globally reachable, and multicast.
Listed here, since what the standard library calls global is another in each version."""
_INTERNET_V6 = ip_network("2000::/3")
"""All that is allocated as global unicast (IANA)."""
_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""


class Forbidden(Exception):
    """The address is none that the cloud may send to; the text says why."""


def why_forbidden(address: Address) -> str | None:
    """None for an address of the public internet. Pure."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return why_forbidden(inner)
    if address.is_loopback:
        return "this machine itself"
    if address.is_link_local:
        return "link-local, where platforms keep their metadata"
    outside = address.version == 6 and address not in _INTERNET_V6
    if outside or any(address.version == one.version and address in one for one in _NO_INTERNET):
        return "no address of the public internet"
    return None


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def addresses(host: str, port: int, allow_private: bool, resolver: Resolve = resolve) -> list[str]:
    """Where `host` is, as literal addresses to connect to. Raises Forbidden, and OSError where it has none."""
    found = await resolver(host, port)
    for one in found:
        why = None if allow_private else why_forbidden(ipaddress.ip_address(one.partition("%")[0]))
        if why is not None:
            raise Forbidden(f"{host[:100]} is {one}: {why}; ALERT_ALLOW_PRIVATE=1 lets it be")
    if not found:
        raise OSError("the name has no address")
    return found
