"""The certificate with which devices and people reach this cloud: until when it is good.

Whatever holds it (a reverse proxy) renews it, and nobody looks when that stops working until all devices are away at
once. It is read as it is served, to nobody's harm: nothing is sent, and who signed it is the devices' business.
"""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

_PATIENCE = 10.0
_SOON = timedelta(days=14)
_SHARE = 6
"""Renewal is tried when a third of its life is left (Let's Encrypt's and Caddy's advice): half of that has passed."""


@dataclass(frozen=True)
class Where:
    """`name`: as it is asked for (SNI); the connection goes to `host` and `port`."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Validity:
    """From when to when."""

    begin: datetime
    end: datetime


def where(value: str) -> Where:
    """CERTIFICATE_AT taken apart: `name`, `name:port` or `name@host:port`. Raises ValueError."""
    name, at, host = value.strip().rpartition("@")
    parts = urlsplit(f"//{host}")
    port = parts.port or 443  # ValueError: no number
    plain = parts.netloc == host and not (parts.path or parts.query or parts.fragment)
    if not plain or not parts.hostname or (at and not name) or "/" in name or any(c.isspace() for c in value.strip()):
        raise ValueError("write cams.example, cams.example:8443 or cams.example@front:443")
    return Where(name or parts.hostname, parts.hostname, port)


def of_url(url: str | None) -> Where | None:
    """Of PUBLIC_URL; None where that has none."""
    parts = urlsplit(url or "")
    if parts.scheme != "https" or not parts.hostname:
        return None
    return Where(parts.hostname, parts.hostname, parts.port or 443)


def soon_over(begin: datetime, end: datetime, now: datetime) -> str | None:
    """What is to be said of something that is good from `begin` to `end`; None while that is long. Pure."""
    if now >= end:
        return f"expired at {end:%Y-%m-%d %H:%M UTC}"
    if end - now < min(_SOON, (end - begin) / _SHARE):
        return f"expires at {end:%Y-%m-%d %H:%M UTC}"
    return None


def validity(der: bytes) -> Validity:
    """Of a certificate (RFC 5280, 4.1): the fifth field of its first part. ValueError for what is none."""
    tbs = _inner(_inner(der))
    fields = _fields(tbs)
    if fields and fields[0][0] == 0xA0:  # the version may be left out
        fields = fields[1:]
    if len(fields) < 4:
        raise ValueError("no certificate")
    times = [_time(tag, content) for tag, content in _fields(fields[3][1])]
    return Validity(times[0], times[1])


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, rest) of DER's first element (ITU-T X.690)."""
    if len(data) < 2:
        raise ValueError("no certificate")
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        raise ValueError("no certificate")
    return tag, data[start : start + length], data[start + length :]


def _inner(data: bytes) -> bytes:
    return _element(data)[1]


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        tag, content, data = _element(data)
        found.append((tag, content))
    return found


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == 0x17:  # UTCTime: 1950 to 2049 (RFC 5280, 4.1.2.5.1)
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


async def look(at: Where) -> Validity:
    """Of the certificate that is served there. Raises OSError and ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # an expired one must be read as well
    async with asyncio.timeout(_PATIENCE):
        _, writer = await asyncio.open_connection(at.host, at.port, ssl=context, server_hostname=at.name)
    try:
        served = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return validity(served or b"")
    finally:
        writer.transport.abort()
