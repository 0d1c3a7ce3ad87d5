"""Who is at the other end of a reverse proxy: X-Forwarded-For, -Proto and -Host, believed of trusted peers alone.

Each proxy appends the address that it saw, so the list is read from its end: the first address that is no trusted
proxy's is the one that nobody could make up. Whoever stands before it may have written the rest.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Trusted:
    """FORWARDED_ALLOW_IPS: the reverse proxies."""

    networks: tuple[_Network, ...] = ()
    anybody: bool = False
    """`*`: whoever connects is a proxy of ours, but no other address of the list is."""

    def peer(self, address: str) -> bool:
        """Whether what this peer says of others is believed."""
        return self.anybody or self._listed(address)

    def _listed(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None) or found  # a listener on :: sees IPv4 so
        return any(mapped in network for network in self.networks if network.version == mapped.version)

    def client(self, peer: str, forwarded_for: str) -> str:
        """The address that counts, of a request that came from a trusted `peer`."""
        for word in reversed(forwarded_for.split(",")):
            address = _address(word)
            if address is None:
                return peer  # something else than an address: nothing before it can be told from invention
            if not self._listed(address):
                return address
            peer = address
        return peer


def trusted(value: str) -> Trusted:
    """`127.0.0.1`, `10.0.0.0/8,fd00::/8`, `*`, or nothing. Raises ValueError with the word that is none of these."""
    networks: list[_Network] = []
    words = [word.strip() for word in value.split(",") if word.strip()]
    for word in words:
        if word == "*":
            continue
        try:
            networks.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise ValueError(f"{word[:60]!r} is no address: write e.g. 127.0.0.1, 10.0.0.0/8 or *") from None
    return Trusted(tuple(networks), "*" in words)


def _address(word: str) -> str | None:
    """The address alone, of `198.51.100.7`, `198.51.100.7:4000` (Azure's gateway), `[2001:db8::1]:4000`; else None."""
    text = word.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _said(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Every header of that name, in order, as one list."""
    return ",".join(value.decode("latin-1") for key, value in headers if key == name)


class Forwarded:
    """ASGI middleware: `client` and `scheme` as the trusted proxy saw them; `forwarded_host`, where it names one."""

    def __init__(self, app: ASGIApp, proxies: Trusted) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            peer, port = scope.get("client") or ("", 0)
            if self._proxies.peer(peer):
                scope = {**scope, **self._seen(scope["headers"], peer, port)}
        await self._app(scope, receive, send)

    def _seen(self, headers: list[tuple[bytes, bytes]], peer: str, port: int) -> dict[str, object]:
        found: dict[str, object] = {"behind_proxy": True}
        if forwarded_for := _said(headers, b"x-forwarded-for"):
            found["client"] = (self._proxies.client(peer, forwarded_for), port)
        scheme = _said(headers, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            found["scheme"] = scheme
        host = _said(headers, b"x-forwarded-host").rpartition(",")[2].strip().lower()
        if host:
            found["forwarded_host"] = host
        return found
