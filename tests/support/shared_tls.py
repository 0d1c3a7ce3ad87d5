"""One TLS context for all clients of httpx in a test's process that ask for the usual one.

httpx reads the public authorities anew for each client, also for one that only speaks plain http: 0.04 s of CPU.
A client that is given a context of its own keeps it, and so does every service: this is the tests' process alone.
"""

import os
import ssl
from functools import lru_cache
from typing import Any

import httpx

_make = httpx.create_ssl_context


@lru_cache(maxsize=8)
def _usual(trust_env: bool, *variables: str | None) -> ssl.SSLContext:
    return _make(trust_env=trust_env)


def _create_ssl_context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is not True or cert is not None:
        return _make(verify, cert, trust_env)
    return _usual(trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


def install() -> None:
    """From now on, in this process. What a caller of `httpx.create_ssl_context` gets stays its own, to change."""
    httpx._transports.default.create_ssl_context = _create_ssl_context  # type: ignore[attr-defined]
