"""Downloads over HTTP(S) or from a `file://` folder, bounded in time and size."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.error
from collections.abc import Mapping
from pathlib import Path

from visantctl.errors import Refused, Unreachable
from visantctl.network.uplink import opener
from visantctl.releases.manifest import Blob

TIMEOUT = 30.0
"""Seconds without a byte before a download counts as dead."""
_CHUNK = 1 << 16


def small(url: str, limit: int, proxies: Mapping[str, str] | None = None) -> bytes:
    """Body of `url`; Unreachable when it cannot be had, Refused when it is larger than `limit` bytes."""
    try:
        with opener(proxies).open(url, timeout=TIMEOUT) as answer:
            body: bytes = answer.read(limit + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{url}: {_reason(error)}") from None
    if len(body) > limit:
        raise Refused(f"{url} is larger than {limit} bytes")
    return body


def blob(url: str, wanted: Blob, to: Path, proxies: Mapping[str, str] | None = None) -> None:
    """Download `wanted` into the file `to`; Refused when size or SHA-256 differ from the manifest's."""
    digest, size = hashlib.sha256(), 0
    try:
        with opener(proxies).open(url, timeout=TIMEOUT) as answer, to.open("wb") as file:
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > wanted.bytes:
                    break
                digest.update(chunk)
                file.write(chunk)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise Unreachable(f"{url}: {_reason(error)}") from None
    check(wanted, size, digest.hexdigest())


def check(wanted: Blob, size: int, sha256: str) -> None:
    """Refused unless size and digest are those of the manifest."""
    if size != wanted.bytes or sha256 != wanted.sha256:
        raise Refused(f"{wanted.name} is not what the manifest names (size {size} of {wanted.bytes}, or its SHA-256)")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
