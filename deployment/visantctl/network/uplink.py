"""The way out of the site: through its proxy where it has one, trusting its own authorities beside the public ones.

One setting each in `.env.device`, for everything: HTTPS_PROXY (HTTP_PROXY, NO_PROXY) and SSL_CERT_FILE reach the
services by Compose, visantctl by `opener`, and the Docker Engine by a file (see `engine_uplink`).
"""

from __future__ import annotations

import ipaddress
import ssl
import urllib.request
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from visantctl.errors import Misconfigured
from visantctl.host.env_file import PROXY_KEYS


def context(given: Mapping[str, str] | None) -> ssl.SSLContext:
    """Trusts the system's authorities and those of SSL_CERT_FILE; Misconfigured where that file is none."""
    trusted = ssl.create_default_context()
    file = (given or {}).get("SSL_CERT_FILE")
    if file:
        try:
            trusted.load_verify_locations(file)
            # Python 3.13's new default refuses authorities without a key usage, as sites often made them.
            trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
        except OSError as error:  # ssl.SSLError is one
            raise Misconfigured(
                f"SSL_CERT_FILE: {file} holds no certificate ({error.strerror or error}): put the site's CA there (PEM)"
            ) from None
    return trusted


def opener(
    given: Mapping[str, str] | None, trusted: ssl.SSLContext | None = None, *, follow: bool = True
) -> urllib.request.OpenerDirector:
    """For http(s) and file addresses. `follow` False: a redirection is an HTTPError, as any other refusal."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=trusted or context(given))]
    if any((given or {}).get(key) for key in PROXY_KEYS):  # otherwise urllib's own default: the environment
        handlers.append(_Proxy(given or {}))
    if not follow:
        handlers.append(_Stay())
    return urllib.request.build_opener(*handlers)


def goes_through_proxy(given: Mapping[str, str] | None, url: str) -> str | None:
    """Address of the proxy that a request for `url` takes; None: it goes straight.

    As httpx reads the same settings, in the services: tests/unit/deployment/test_uplink.py holds the two against each
    other. `name` in NO_PROXY is that name and all below it, `.name` only what is below it, `*` everything.
    """
    parts, settings = urlsplit(url), given or {}
    proxy = settings.get(f"{parts.scheme.upper()}_PROXY") or settings.get("ALL_PROXY")
    if not proxy or any(_matches(one, parts) for one in _entries(settings)):
        return None
    return proxy


class _Proxy(urllib.request.ProxyHandler):
    """urllib's, by the settings and their NO_PROXY: its own looks into the environment."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        super().__init__({scheme: _ASKED_FOR_EACH for scheme in ("http", "https")})

    def proxy_open(self, request: urllib.request.Request, proxy: str, type: str) -> object:
        found = goes_through_proxy(self._given, request.full_url)
        return None if found is None else super().proxy_open(request, found, type)


_ASKED_FOR_EACH = "http://asked-for-each.invalid"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _entries(settings: Mapping[str, str]) -> list[str]:
    return [one.strip() for one in settings.get("NO_PROXY", "").split(",") if one.strip()]


def _matches(entry: str, url: SplitResult) -> bool:
    """Whether `entry` of NO_PROXY means `url`."""
    if entry == "*":
        return True
    scheme, _, place = entry.rpartition("://")
    if scheme and scheme.lower() not in ("all", url.scheme):
        return False
    if not place or place == "*":
        return True
    name, port = _name_and_port(place)
    if port is not None and port != url.port:
        return False
    host = (url.hostname or "").lower()
    if scheme or _is_address(name) or name == "localhost":
        return host == name.strip("[]")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _name_and_port(place: str) -> tuple[str, int | None]:
    place = place.lower().partition("/")[0]
    if _is_address(place):
        return place, None
    name, colon, port = place.rpartition(":")
    return (name, int(port)) if colon and port.isdigit() else (place, None)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
