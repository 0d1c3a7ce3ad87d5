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
            return f"{host} refuses connections on port {port}: {_nobody_listens(host)}"
        if isinstance(one, TimeoutError):
            return f"{host}:{port} does not answer: check the network and any firewall"
        if isinstance(one, OSError) and one.errno is not None and one.strerror:
            return f"{host}:{port} cannot be reached ({one.strerror}): check cable, WiFi and route"
    return f"{host}:{port} cannot be reached ({type(error).__name__}: {error}): check API_URL and the network"


def refused(status: int, detail: str, device_id: str, token: bool) -> str:
    """Why the cloud does not want this device as it is: 401, 403 or 404. `token`: whether it was shown one."""
    said = f" ({detail})" if detail else ""
    if status == 401:
        what = "refuses DEVICE_TOKEN" if token else "wants a token"
        return (
            f"401: the cloud {what}{said}: `visant-cloud enrol-code --device-id {device_id} --replace` makes a code, "
            f"`sudo visantctl enrol` here takes it; without visantctl: New token on the page of {device_id}, "
            "put it in DEVICE_TOKEN or its file"
        )
    if status == 403:
        return (
            f"403: the cloud does not let this device in{said}: activate {device_id} in the cloud, or check its token"
        )
    return f"404: the cloud does not know this device{said}: create {device_id} there, or check DEVICE_ID and API_URL"


def in_between(status: int, said: str) -> str:
    """A refusal that is not in the cloud's words. `said`: how the answer begins."""
    quoted = f" ({said})" if said else ""
    if status == 413:
        remedy = "raise the body limit before the cloud (nginx: client_max_body_size), or lower CAMERA_RESOLUTION"
    else:
        remedy = "look for a proxy, a firewall or a sign-in page, and check API_URL"
    return f"{status}: something on the way to the cloud refuses, not the cloud itself{quoted}: {remedy}"


def _nobody_listens(host: str) -> str:
    """What it may be; an address of this very machine means another one to whoever reads it on the Pi."""
    if host == "localhost" or host.startswith("127.") or host in ("::1", "0.0.0.0"):  # noqa: S104  # no server here
        return (
            f"in a container {host} is the container itself: set API_URL to the address that the cloud's machine has "
            "in the network; outside of one, is the cloud running?"
        )
    return "is the cloud running, and does it listen on that address? Is API_URL right?"


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
