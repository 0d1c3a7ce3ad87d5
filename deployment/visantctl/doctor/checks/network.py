"""The way to the cloud, in the order in which it fails: proxy or name, port, certificate, answer; and the clock."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from visantctl.doctor import clock
from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.host.env_file import read_env_file
from visantctl.host.programs import ask
from visantctl.network.uplink import context, goes_through_proxy, opener
from visantctl.wiring import Device

ORDER = 60

_TIMEOUT = 8.0
_RENEW = 14
"""Days before its end at which a certificate should have been renewed."""
_SIGN_IN = "sign in with a phone for this device's MAC address (ip link), or use another network"


def check(device: Device) -> Iterator[Finding]:
    """Ends at the first thing that fails: what lies behind it cannot be seen."""
    url = read_env_file(device.place.env_file).get("API_URL", "").rstrip("/")
    parts = urlsplit(url)
    if not parts.hostname:
        return
    given = device.settings.proxies or {}
    if ask("nmcli", "-t", "networking", "connectivity", "check") == "portal":
        yield fail("network", "this network wants somebody to sign in (captive portal)", _SIGN_IN)
    proxy = goes_through_proxy(given, url)
    host, port = _end(proxy or url)
    what = "the proxy" if proxy else "the cloud"
    trouble = _name(host, what) or _port(host, port, what)
    if trouble:
        yield trouble
        yield from clock.check(None)
        return
    yield good("network", f"{what} {host} is found and takes connections on port {port}")
    if parts.scheme == "https" and not proxy:
        yield from _certificate(host, port, given)
    yield from _answer(url, given)


def _end(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _name(host: str, what: str) -> Finding | None:
    # getent, because it can be given a time: a dead DNS server holds the library for half a minute and more
    if ask("getent", "ahosts", host, timeout=_TIMEOUT):
        return None
    return fail(
        "network",
        f"{what}'s name {host} is not found (DNS)",
        "is the network up, and the setting right? nmcli device; cat /etc/resolv.conf; getent hosts NAME",
    )


def _port(host: str, port: int, what: str) -> Finding | None:
    try:
        socket.create_connection((host, port), _TIMEOUT).close()
    except OSError as error:
        return fail(
            "network",
            f"{what} {host} takes no connection on port {port} ({error.strerror or error})",
            "is it open in the site's firewall? HTTPS_PROXY in .env.device where the site has a proxy",
        )
    return None


def _certificate(host: str, port: int, given: Mapping[str, str]) -> Iterator[Finding]:
    """Only what a good handshake shows; a bad one is `_answer`'s to explain."""
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT) as connection,
            context(given).wrap_socket(connection, server_hostname=host) as secured,
        ):
            ends = str((secured.getpeercert() or {}).get("notAfter", ""))
            version = secured.version()
    except OSError:
        return
    yield certificate_finding(version, ends, datetime.now(UTC))


def certificate_finding(version: str | None, ends: str, now: datetime) -> Finding:
    """`ends`: as getpeercert() says it, `Nov 25 12:00:00 2027 GMT`."""
    try:
        days = (ssl.cert_time_to_seconds(ends) - now.timestamp()) / 86400
    except ValueError:
        return good("network", f"{version}, the certificate is accepted")
    if days < _RENEW:
        return warn(
            "network",
            f"the cloud's certificate ends in {days:.0f} days",
            "whoever runs the cloud renews it: without it no device gets through",
        )
    return good("network", f"{version}, the certificate is accepted and good for {days:.0f} days")


def _answer(url: str, given: Mapping[str, str]) -> Iterator[Finding]:
    try:
        with opener(given, follow=False).open(url, timeout=_TIMEOUT) as answer:
            status, headers = answer.status, answer.headers
    except urllib.error.HTTPError as error:
        status, headers = error.code, error.headers
        error.close()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        host = urlsplit(url).hostname or ""
        if not goes_through_proxy(given, url) and (signs_in := portal(host)):
            yield fail("network", f"{url}: {signs_in}", _SIGN_IN)
            return
        if isinstance(reason, ssl.SSLCertVerificationError) and reason.verify_code in (9, 10):
            yield from clock.behind_tls(url, given, reason.verify_message)
            return
        yield unreachable(url, reason)
        return
    yield answer_finding(url, status, headers.get("Location") or "")
    yield from clock.check(headers.get("Date"))


def portal(host: str, port: int = 80) -> str | None:
    """What a captive portal does to plain http: it leads to its own page. None: there is no sign of one."""
    try:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        connection.request("GET", "/")
        answer = connection.getresponse()
        status, location = answer.status, answer.headers.get("Location") or ""
        connection.close()
    except (OSError, http.client.HTTPException):
        return None
    target = urlsplit(location).hostname
    if status == 511 or (status in (301, 302, 303, 307, 308) and target and target != host):
        return f"this network wants somebody to sign in first (captive portal{f' at {target}' if target else ''})"
    return None


def answer_finding(url: str, status: int, location: str) -> Finding:
    """What the root of API_URL answers; any answer of a cloud's own is as good as another."""
    target = urlsplit(location).hostname
    if 300 <= status < 400 and target and target != urlsplit(url).hostname:
        return fail(
            "network",
            f"{url} leads to {location[:100]}: a captive portal, or the cloud has moved",
            f"{_SIGN_IN}; or set API_URL to the new address",
        )
    if 300 <= status < 400 and location.startswith("https:") and url.startswith("http:"):
        return fail(
            "network", f"{url} leads to https", "set API_URL to the https address: services follow no redirection"
        )
    if status == 407:
        return fail("network", "the proxy wants a password (407)", "HTTPS_PROXY=http://user:password@host:port")
    if status >= 500:
        return warn(
            "network", f"{url} answers {status}", "the cloud is in trouble; pictures wait on this device meanwhile"
        )
    return good("network", f"{url} answers")


def unreachable(url: str, reason: object) -> Finding:
    """A connection that came about and gave no answer."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return fail(
            "network",
            f"{url}: its certificate is not accepted ({reason.verify_message})",
            "an inspecting proxy? Put the site's CA into secrets/ and name it in SSL_CERT_FILE, or: is API_URL right?",
        )
    if "407" in str(reason):
        return fail(
            "network",
            "the proxy wants a password, or another one (407)",
            "HTTPS_PROXY=http://user:password@host:port in .env.device",
        )
    if isinstance(reason, ssl.SSLError):
        return fail(
            "network",
            f"{url}: TLS fails ({reason.reason or reason})",
            "does the cloud speak https on this port? A firewall that inspects TLS does this too",
        )
    return fail(
        "network",
        f"{url} gives no answer ({reason})",
        "does the firewall, or the proxy, let this device through to it?",
    )
