"""Did a page of this very cloud send the request? Browsers say which site sends a change. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin(value: str) -> str:
    """PUBLIC_URL as browsers write an origin, e.g. `https://cams.example`. Raises ValueError where it is none."""
    parts = urlsplit(value.strip())
    try:
        port = parts.port
    except ValueError:
        port = -1
    if (
        parts.scheme not in _PORTS
        or not parts.hostname
        or port == -1
        or parts.username
        or parts.query
        or parts.fragment
    ):
        raise ValueError("write what the browser's address bar shows, e.g. https://cams.example")
    if parts.path not in ("", "/"):
        raise ValueError("the cloud lives at the root of an address: write it without a path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")


def from_here(
    headers: Mapping[str, str], *, public: str | None, forwarded_host: str | None = None, behind_proxy: bool = False
) -> bool:
    """Whether the request is none of a page of another site. `headers` are found whatever their case.

    `public`: the own origin where a setting tells it; else the host is what the request, or a trusted proxy, says.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:  # the browser itself says; it does so over TLS and on localhost
        return site in ("same-origin", "none")
    sent_by = headers.get("origin")
    if sent_by is None:
        return True  # no browser, or no page behind it
    if public is not None:
        return sent_by.lower() == public
    page = sent_by.lower().partition("://")[2]
    host = headers.get("host", "").lower()
    if page in (host, forwarded_host):
        return True
    # `proxy_set_header Host $host` drops the port
    return behind_proxy and forwarded_host is None and bool(host) and page.rpartition(":")[0] == host
