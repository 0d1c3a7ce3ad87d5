"""The way out of the site: through its proxy where it has one, trusting its own authorities beside the public ones.

One setting each in `.env.device`, for everything: HTTPS_PROXY (HTTP_PROXY, NO_PROXY) and SSL_CERT_FILE reach the
services by Compose, visantctl by `opener`, and the Docker Engine by a file (see `engine_uplink`).
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

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
    """Address of the proxy that a request for `url` takes; None: it goes straight."""
    parts, settings = urlsplit(url), given or {}
    proxy = settings.get(f"{parts.scheme.upper()}_PROXY")
    if not proxy or _bypassed(parts.netloc, settings.get("NO_PROXY", "")):
        return None
    return proxy


class _Proxy(urllib.request.ProxyHandler):
    """urllib's, with NO_PROXY from the settings: its own looks into the environment."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._none_for = given.get("NO_PROXY", "")
        super().__init__({key.split("_")[0].lower(): given[key] for key in PROXY_KEYS if given.get(key)})

    def proxy_open(self, request: urllib.request.Request, proxy: str, type: str) -> object:
        if _bypassed(request.host or "", self._none_for):
            return None
        return super().proxy_open(request, proxy, type)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _bypassed(host: str, none_for: str) -> bool:
    return bool(
        none_for and urllib.request.proxy_bypass_environment(host, {"no": none_for})  # type: ignore[attr-defined]
    )
