"""Signed webhooks, in the scheme of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec).

One POST over a connection of its own: what an HTTP library brings beside (redirects, cookies, proxies, pools) is what
must not happen here, and the connection must go to the address that was checked.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from visant_cloud.channels import address
from visant_cloud.channels.address import Forbidden, Resolve
from visant_cloud.channels.answer import Answer, line

TIMEOUT = 10.0
"""Seconds from the first look at the name to the end of the answer."""
_MAX_HEAD = 16 << 10
_MAX_BODY = 1 << 10
"""Bytes of an answer that are read, for the log."""
_INTERIM = 5
"""1xx answers before the one that counts."""
_PREFIX = "whsec_"
_TRIED = 3
"""Addresses of one name."""


@dataclass(frozen=True)
class Url:
    """A webhook's URL, taken apart."""

    host: str
    port: int
    tls: bool
    target: str
    """Path and query, as they go on the wire."""
    authority: str
    """For the header Host."""


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes of a secret; ValueError for what is none."""
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("no secret of a webhook") from None


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: `v1,` and base64 of HMAC-SHA256 over id, timestamp and body with dots between."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def parsed(url: str) -> Url:
    """Raises ValueError, whose text names what is wrong, for what cannot be sent to."""
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url) or len(url) > 2000:
        raise ValueError("it must be plain ASCII without spaces, at most 2000 characters")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http"):
        raise ValueError("it must begin with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it must hold no user and password: the signature says who sends")
    host = parts.hostname or ""
    port = parts.port  # ValueError: no number
    if not host:
        raise ValueError("it must name a host")
    tls = parts.scheme == "https"
    shown = f"[{host}]" if ":" in host else host
    default = 443 if tls else 80
    authority = shown if port in (None, default) else f"{shown}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(host, port or default, tls, target, authority)


async def send(
    url: str,
    secret: str,
    message_id: str,
    timestamp: int,
    body: bytes,
    *,
    allow_private: bool,
    timeout: float = TIMEOUT,
    resolver: Resolve = address.resolve,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """One attempt. Only a 2xx is taken; a redirect is not followed."""
    try:
        where = parsed(url)
        async with asyncio.timeout(timeout):
            found = await address.addresses(where.host, where.port, allow_private, resolver)
            status, text = await _post(where, found, _request(where, secret, message_id, timestamp, body), tls)
    except Forbidden as error:
        return Answer(False, line(f"not sent: {error}"))
    except TimeoutError:
        return Answer(False, f"no answer within {timeout:g} s")
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        return Answer(False, line(f"{type(error).__name__}: {error}"))
    if 300 <= status < 400:
        return Answer(False, line(f"HTTP {status}: redirects are not followed; name the last address itself"))
    return Answer(200 <= status < 300, line(f"HTTP {status} {text}"))


def _request(where: Url, secret: str, message_id: str, timestamp: int, body: bytes) -> bytes:
    head = (
        f"POST {where.target} HTTP/1.1\r\n"
        f"Host: {where.authority}\r\n"
        "User-Agent: visant-cloud\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"webhook-id: {message_id}\r\n"
        f"webhook-timestamp: {timestamp}\r\n"
        f"webhook-signature: {sign(secret, message_id, timestamp, body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


async def _post(where: Url, found: list[str], request: bytes, tls: ssl.SSLContext | None) -> tuple[int, str]:
    reader, writer = await _connected(where, found, tls)
    try:
        writer.write(request)
        await writer.drain()
        for _ in range(_INTERIM):
            head = await reader.readuntil(b"\r\n\r\n")
            status = _status(head)
            if status >= 200:
                break
        if status == 204 or b"\r\ncontent-length: 0\r\n" in head.lower():
            return status, ""
        try:
            text = await asyncio.wait_for(reader.read(_MAX_BODY), 2.0)
        except (OSError, TimeoutError):  # what counts is here
            text = b""
        return status, text.decode(errors="replace")
    finally:
        writer.transport.abort()  # no farewell that the other end could draw out


@cache
def _authorities() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads them all: 0.04 s


async def _connected(
    where: Url, found: list[str], tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = (tls or _authorities()) if where.tls else None
    name = where.host if where.tls else None
    for place, one in enumerate(found[:_TRIED], 1):
        try:
            return await asyncio.open_connection(one, where.port, ssl=context, server_hostname=name, limit=_MAX_HEAD)
        except ssl.SSLError:
            raise  # another address of that name would say the same
        except OSError:
            if place == min(len(found), _TRIED):
                raise
    raise OSError("the name has no address")


def _status(head: bytes) -> int:
    version, _, rest = head.split(b"\r\n", 1)[0].partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit() or len(code) < 3:
        raise ValueError("the answer is no HTTP")
    return int(code)
