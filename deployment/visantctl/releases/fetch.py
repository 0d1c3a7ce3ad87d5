"""Downloads over HTTP(S) or from a `file://` folder, bounded in time and size."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from visantctl.errors import Refused, Unreachable
from visantctl.network.uplink import opener
from visantctl.releases.manifest import Blob

TIMEOUT = 30.0
"""Seconds without a byte before a download counts as dead."""
_CHUNK = 1 << 16
_PAUSE = 2.0
"""Seconds before a download that was cut off goes on."""


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


def blob(
    url: str,
    wanted: Blob,
    to: Path,
    proxies: Mapping[str, str] | None = None,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Download `wanted` into the file `to`, going on after what an earlier try left there.

    Refused when size or SHA-256 differ from the manifest's; the file is gone then. Unreachable keeps what has come.
    `tell` gets the bytes that are here and those of all.
    """
    begun = _size(to)
    while True:
        before = _size(to)
        try:
            _go_on(url, wanted, to, proxies, tell)
        except Unreachable:
            if _size(to) <= before:
                raise
        else:
            if not before < _size(to) < wanted.bytes:
                break
        time.sleep(_PAUSE)  # cut off, and some of it came
    digest = hashlib.sha256()
    with to.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    try:
        check(wanted, _size(to), digest.hexdigest())
    except Refused:
        to.unlink()
        if not begun:
            raise
        blob(url, wanted, to, proxies, tell)  # what was here may have been of something else, or half written


def _go_on(
    url: str, wanted: Blob, to: Path, proxies: Mapping[str, str] | None, tell: Callable[[int, int], None]
) -> None:
    """What is missing of it, until the answer ends. One byte too many shows that it is something else."""
    here = _size(to)
    if here > wanted.bytes:
        to.unlink()
        here = 0
    if here == wanted.bytes and here:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    try:
        with opener(proxies).open(request, timeout=TIMEOUT) as answer:
            goes_on = answer.status == 206 and str(answer.headers.get("Content-Range")).startswith(f"bytes {here}-")
            with to.open("ab" if goes_on else "wb") as file:
                here = here if goes_on else 0
                while here <= wanted.bytes and (chunk := answer.read1(_CHUNK)):
                    file.write(chunk)
                    here += len(chunk)
                    tell(here, wanted.bytes)
                if getattr(answer, "length", 0) and here <= wanted.bytes:
                    raise Unreachable(f"{url}: cut off after {here} of {wanted.bytes} bytes")
    except urllib.error.HTTPError as error:
        if error.code != 416:  # there: it ends where our file does
            raise Unreachable(f"{url}: {_reason(error)}") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise Unreachable(f"{url}: {_reason(error)}") from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


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
