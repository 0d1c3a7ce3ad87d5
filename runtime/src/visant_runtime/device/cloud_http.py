"""HTTP to the cloud: one client, and what went wrong as one line. Of the device's code only this file, the connector's
cloud_stream.py and the uploader's camera_client.py import httpx (docs/adr/0002-httpx-behind-three-files.md).
"""

import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import httpx

from visant_runtime.device.cloud_errors import unreachable
from visant_runtime.device.settings import DeviceSettings
from visant_runtime.redact import hide
from visant_runtime.settings import SettingsError
from visant_runtime.tls import with_site_authorities

if find_spec("sniffio") is None:
    # At each of its locks, six times a request, httpcore tries to import it, which searches all of sys.path: 0.1 to
    # 0.5 ms each time. This is Python's own way to say that a module is not there (reference, "The module cache").
    sys.modules["sniffio"] = None  # type: ignore[assignment]

CONNECT_TIMEOUT = 10.0
"""Seconds for DNS, TCP and TLS."""
CONNECTIONS = 8
"""At once, at most."""
NOT_SENT = 16 * 1024
"""Bytes that the kernel may hold beyond those that are on their way (TCP_NOTSENT_LOWAT, tcp(7)). Left to itself it
takes up to 4 MB at once, and whether the other end still takes anything could not be seen. A smaller SO_SNDBUF would
show it in steps of a third of it, and slow down a fast uplink with a long way."""
FAILURES = (httpx.HTTPError, httpx.StreamError, OSError, httpx.InvalidURL, UnicodeError)
"""What a request may raise. The last two: a `Location` that cannot be read, which httpx tries although it is not
followed."""
Client = httpx.AsyncClient
Transport = httpx.AsyncBaseTransport
"""What a test puts in place of the network."""


def open_client(
    settings: DeviceSettings,
    *,
    silence: float,
    headers: Mapping[str, str] | None = None,
    keep_alive: float = 0.0,
    transport: Transport | None = None,
    trusted: ssl.SSLContext | None = None,
) -> Client:
    """A client whose paths begin at API_URL and that shows the device's token. It follows no redirect: the token would
    go along.

    `silence`: seconds without a byte after which a request fails. `keep_alive`: seconds that an idle connection is
    kept; an older one may belong to a network that is gone, and hang. Proxy and certificate variables of the
    environment are honoured; SettingsError names one that cannot be used, and an API_URL that httpx, whose IDNA is
    stricter than Python's, cannot read. `trusted`: from `trusted_authorities`, where several clients are opened.
    """
    shown = dict(headers or {})
    if settings.device_token is not None:
        shown["Authorization"] = f"Bearer {settings.device_token.get_secret_value()}"
    try:
        base_url = httpx.URL(settings.api_url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise SettingsError(f"API_URL={settings.api_url!r} cannot be used ({error}): set the cloud's address") from None
    try:
        return httpx.AsyncClient(
            base_url=base_url,
            headers=shown,
            transport=transport,
            verify=trusted or trusted_authorities(),
            follow_redirects=False,
            timeout=httpx.Timeout(silence, connect=min(silence, CONNECT_TIMEOUT)),
            limits=httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=2 if keep_alive else 0,
                keepalive_expiry=keep_alive,
            ),
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        reason = hide(str(error), settings.secrets())
        raise SettingsError(
            f"a proxy variable cannot be used ({reason}): HTTP_PROXY, HTTPS_PROXY and ALL_PROXY take http://host:port,"
            " NO_PROXY names and addresses, IPv6 without brackets"
        ) from None


def trusted_authorities() -> ssl.SSLContext:
    """The public authorities and the site's own; reading them takes some 20 ms. Raises SettingsError."""
    return with_site_authorities(httpx.create_ssl_context(trust_env=False))


def socket_limits(silence: float, connected: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Extensions of a request: what the kernel is told of its connection, straight to the cloud or to a proxy.

    Where nothing of what was sent is acknowledged for `silence` seconds, the kernel ends the connection
    (TCP_USER_TIMEOUT, tcp(7)): a peer is gone without a word, and all of a request lies in the kernel's hands and looks
    as if it were on its way. `connected()` is called where a connection is opened.
    """

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        # httpcore's docs, "Extensions": the names are its interface, through a proxy as well
        if event == "connection.connect_tcp.started":
            connected()
        elif event == "connection.connect_tcp.complete":
            opened = info["return_value"].get_extra_info("socket")
            if opened is not None:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence * 1000))

    return {"trace": trace}


def request_limits(silence: float, connected: Callable[[], None]) -> dict[str, Any]:
    """Arguments for a request whose caller watches its body piece by piece and bounds the wait for the answer.

    `silence`: seconds for a place in the pool, without an acknowledgement, and at most CONNECT_TIMEOUT for a
    connection. `connected()` is called where a connection is opened for it.
    """
    return {
        "timeout": httpx.Timeout(None, connect=min(silence, CONNECT_TIMEOUT), pool=silence),
        "extensions": socket_limits(silence, connected),
    }


def why(error: Exception, api_url: str, *, silence: float, wall: datetime) -> str:
    """One line with the remedy for one of FAILURES. `silence`: as for the request, seconds. `wall`: this device's
    clock, which decides about certificates.
    """
    if isinstance(error, httpx.ReadTimeout):
        return f"no answer within {silence:.0f} s: is the cloud, or a proxy before it, stuck?"
    if isinstance(error, httpx.RemoteProtocolError):
        return f"the answer is not HTTP ({error}): is API_URL right?"
    if isinstance(error, httpx.InvalidURL | UnicodeError):
        return f"the cloud redirects to no address ({error}): is API_URL right?"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy that the environment names refuses ({error}): check HTTPS_PROXY and NO_PROXY"
    parts = urlsplit(api_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    cause = TimeoutError() if isinstance(error, httpx.TimeoutException) else error
    return unreachable(cause, parts.hostname or "", port, wall)
