"""What is sent compressed, to whoever takes it (RFC 9110, 12.5.3). Where it is done, no stream waits for it."""

import gzip

from fastapi import Response
from starlette.datastructures import Headers

_LEAST = 1000
"""Bytes; less fits into one packet anyway."""


def takes_gzip(headers: Headers) -> bool:
    """Whether a request asks for gzip."""
    for part in headers.get("accept-encoding", "").lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def compress(headers: Headers, response: Response) -> None:
    """Compresses the body of an answer to a request of these headers: some 1 ms for 60 KB, so off the event loop."""
    response.headers["Vary"] = "Accept-Encoding"
    if len(response.body) < _LEAST or not takes_gzip(headers):
        return
    response.body = gzip.compress(bytes(response.body), 5, mtime=0)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.body))
