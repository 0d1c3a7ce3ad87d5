import socket
import ssl
from datetime import UTC, datetime

import pytest

from visant_runtime.device.cloud_errors import causes, refused, unreachable

WALL = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)


def certificate(code: int, text: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, text
    return error


def wrapped(cause: BaseException) -> BaseException:
    """As an HTTP library hands it on."""
    try:
        try:
            raise cause
        except BaseException as inner:
            raise RuntimeError("All connection attempts failed") from inner
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), ["cloud.example is not found", "API_URL", "DNS"]),
        (ConnectionRefusedError(111, "refused"), ["refuses connections on port 443", "running", "API_URL"]),
        (TimeoutError(), ["does not answer", "firewall"]),
        (OSError(101, "Network is unreachable"), ["Network is unreachable", "WiFi"]),
        (certificate(18, "self-signed certificate"), ["self-signed certificate", "SSL_CERT_FILE"]),
        (certificate(9, "certificate is not yet valid"), ["1970-01-01 00:05", "time server"]),
        (certificate(10, "certificate has expired"), ["certificate has expired", "renew"]),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), ["TLS", "https"]),
        (ValueError("odd"), ["cannot be reached", "All connection attempts failed"]),
    ],
)
def test_each_way_to_fail_has_one_line_with_its_remedy(cause: BaseException, words: list[str]) -> None:
    line = unreachable(wrapped(cause), "cloud.example", 443, WALL)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_two_attempts_that_failed_together_are_looked_through() -> None:
    group = ExceptionGroup("both families", [OSError("odd"), ConnectionRefusedError(111, "refused")])
    assert any(isinstance(one, ConnectionRefusedError) for one in causes(wrapped(group)))


def test_an_error_that_causes_itself_ends() -> None:
    one, two = RuntimeError("a"), RuntimeError("b")
    one.__context__, two.__context__ = two, one
    assert len(list(causes(one))) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "localhost", "::1"])
def test_who_names_the_loopback_is_told_that_in_a_container_it_is_the_container(host: str) -> None:
    line = unreachable(wrapped(ConnectionRefusedError(111, "refused")), host, 8000, WALL)
    assert f"in a container {host} is the container itself: set API_URL to the address" in line


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        (401, True, ["401", "refuses DEVICE_TOKEN", "visant-cloud enrol-code --device-id FLOOR1 --replace"]),
        (401, True, ["sudo visantctl enrol", "New token on the page of FLOOR1", "DEVICE_TOKEN or its file"]),
        (401, False, ["wants a token", "visant-cloud enrol-code --device-id FLOOR1 --replace"]),
        (403, True, ["403", "FLOOR1", "activate"]),
        (404, True, ["404", "create FLOOR1", "DEVICE_ID", "no such device"]),
    ],
)
def test_a_refusal_names_what_to_do(status: int, token: bool, words: list[str]) -> None:
    line = refused(status, "no such device", "FLOOR1", token)
    for word in words:
        assert word in line
    assert "create-device" not in line, "which only works for a device that is not there"
