"""One TLS context for all clients of httpx in a test's process that trust the public authorities alone.

Reading them costs 0.04 s of CPU a client, also for one that only speaks plain http. A client that is given a context of
its own keeps it, and where a site's authorities are set (SSL_CERT_FILE, SSL_CERT_DIR) each gets its own as well: the
caller adds to it. In this process and, ready before they are forked, in the services that `fork_server` starts.
"""

import os
import ssl
from functools import lru_cache
from typing import Any

import httpx

_make = httpx.create_ssl_context


@lru_cache(maxsize=1)
def shared() -> ssl.SSLContext:
    """The one."""
    return _make(trust_env=False)


def _create_ssl_context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is not True or cert is not None or any(os.environ.get(key) for key in ("SSL_CERT_FILE", "SSL_CERT_DIR")):
        return _make(verify, cert, trust_env)
    return shared()


def install() -> None:
    """From now on, in this process, and without the machine's own authorities: no test asks anybody outside."""
    for key in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        os.environ.pop(key, None)
    httpx.create_ssl_context = _create_ssl_context
    httpx._transports.default.create_ssl_context = _create_ssl_context  # type: ignore[attr-defined]
