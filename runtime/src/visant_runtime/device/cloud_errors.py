"""What went wrong on the way to the cloud, as one line for the person who can help. Pure, standard library only."""

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it came from, the nearest first."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        waiting += [one.__cause__, one.__context__]


def unreachable(error: BaseException, host: str, port: int, wall: datetime) -> str:
    """Why no connection to `host` came about. `wall`: this device's clock, which decides about certificates."""
    for one in causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return _certificate(one, host, wall)
        if isinstance(one, ssl.SSLError):
            return (
                f"TLS with {host}:{port} failed ({one.strerror or one}): is API_URL https where the cloud speaks http?"
            )
        if isinstance(one, socket.gaierror):
            return f"the name {host} is not found ({one.strerror}): check API_URL, the network and its DNS"
        if isinstance(one, ConnectionRefusedError):
            return f"{host} refuses connections on port {port}: is the cloud running, is API_URL right?"
        if isinstance(one, TimeoutError):
            return f"{host}:{port} does not answer: check the network and any firewall"
        if isinstance(one, OSError) and one.errno is not None and one.strerror:
            return f"{host}:{port} cannot be reached ({one.strerror}): check cable, WiFi and route"
    return f"{host}:{port} cannot be reached ({type(error).__name__}: {error}): check API_URL and the network"


def _certificate(error: ssl.SSLCertVerificationError, host: str, wall: datetime) -> str:
    reason = error.verify_message
    if error.verify_code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
        return (
            f"the certificate of {host} is refused ({reason}) while this device's clock says {wall:%Y-%m-%d %H:%M} UTC:"
            " if that is wrong let it reach a time server, else renew the certificate"
        )
    return (
        f"the certificate of {host} is refused ({reason}): check API_URL,"
        " or add its authority with SSL_CERT_FILE (a PEM file)"
    )
