"""What connector and uploader say of the way to the cloud: the same line for the same trouble."""

import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.hard_network import Authority, ConnectProxy, NoTls, TlsFront
from visant_connector.cloud_stream import CloudStream
from visant_connector.settings import ConnectorSettings
from visant_contract.errors import Retryable
from visant_contract.telemetry import Telemetry
from visant_runtime.clock import Clock
from visant_runtime.device.cloud_http import CONNECT_TIMEOUT, open_client, socket_limits, why
from visant_runtime.device.settings import DeviceSettings
from visant_runtime.settings import SettingsError
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.settings import UploaderSettings

WALL = datetime(2026, 11, 22, tzinfo=UTC)
PROXY_KEYS = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (*PROXY_KEYS, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(key, raising=False)
        monkeypatch.delenv(key.lower(), raising=False)


async def line_of_connector(api_url: str) -> str:
    stream = CloudStream(ConnectorSettings(device_id="FLOOR1", api_url=api_url), Clock(), lambda why: None)
    try:
        with pytest.raises(Retryable) as caught:
            async with stream.open():
                pass
    finally:
        await stream.aclose()
    return caught.value.reason


async def line_of_uploader(api_url: str) -> str:
    settings = UploaderSettings(device_id="FLOOR1", api_url=api_url)
    cloud = CloudClient(settings, Clock(), counters=Counters(), device_version="2.0.0")
    try:
        with pytest.raises(Retryable) as caught:
            await cloud.send_telemetry(Telemetry(device_version="2.0.0"), plain=False)
    finally:
        await cloud.close()
    assert caught.value.endpoint, "the way is in trouble, not one item"
    return caught.value.reason


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


Trouble = tuple[AbstractContextManager[Any], str, str]
"""What stands there, API_URL, HTTPS_PROXY."""


def proxy_without_its_password(folder: Path) -> Trouble:
    proxy = ConnectProxy("user", "password")
    return proxy, "https://cloud.example", f"http://127.0.0.1:{proxy.port}"


def unknown_authority(folder: Path) -> Trouble:
    front = TlsFront(Authority(folder).certificate("cloud"), lambda: b"")
    return front, front.url, ""


def certificate_that_has_expired(folder: Path) -> Trouble:
    authority = Authority(folder)
    front = TlsFront(authority.certificate("cloud", days=1, when="-30d"), lambda: b"")
    return front, front.url, ""


def https_where_the_cloud_speaks_http(folder: Path) -> Trouble:
    front = NoTls()
    return front, f"https://127.0.0.1:{front.port}", ""


def nobody_listens(folder: Path) -> Trouble:
    return nullcontext(), f"http://127.0.0.1:{unused_port()}", ""


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (proxy_without_its_password, ["proxy", "407", "check HTTPS_PROXY"]),
        (unknown_authority, ["certificate of 127.0.0.1 is refused", "SSL_CERT_FILE"]),
        (certificate_that_has_expired, ["certificate of 127.0.0.1 is refused"]),
        (https_where_the_cloud_speaks_http, ["TLS with 127.0.0.1", "is API_URL https"]),
        (nobody_listens, ["127.0.0.1 refuses connections on port", "is the cloud running"]),
    ],
)
async def test_both_services_name_the_same_trouble_in_the_same_line_with_its_remedy(
    trouble: Callable[[Path], Trouble], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, api_url, proxy = trouble(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with there:
        line = await line_of_connector(api_url)
        assert await line_of_uploader(api_url) == line
    assert "\n" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadTimeout("x"), ["no answer within 30 s", "stuck"]),
        (httpx.ConnectTimeout("x"), ["cloud.example:443 does not answer", "firewall"]),
        (httpx.InvalidURL("Invalid port"), ["redirects to no address (Invalid port)", "API_URL"]),
        (UnicodeError("label too long"), ["redirects to no address", "API_URL"]),
        (httpx.ProxyError("403 Forbidden"), ["proxy", "403 Forbidden", "NO_PROXY"]),
        (httpx.RemoteProtocolError("illegal status line"), ["is not HTTP (illegal status line)", "is API_URL right"]),
        (httpx.DecodingError("incorrect header check"), ["cloud.example:443", "incorrect header check"]),
    ],
)
def test_each_failure_of_a_request_is_one_line(error: Exception, words: list[str]) -> None:
    line = why(error, "https://cloud.example", silence=30.0, wall=WALL)
    for word in words:
        assert word in line


def device(**more: Any) -> DeviceSettings:
    return DeviceSettings(device_id="FLOOR1", **{"api_url": "http://cloud.example/base", **more})


async def test_a_request_goes_below_api_url_and_shows_the_token() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"location": "http://elsewhere.example/"})

    settings = device(device_token="s3cret")
    async with open_client(settings, silence=3.0, transport=httpx.MockTransport(handler)) as client:
        await client.get("/v1/x")
    assert [str(one.url) for one in seen] == ["http://cloud.example/base/v1/x"], "and a redirect gets no token"
    assert seen[0].headers["authorization"] == "Bearer s3cret"


async def test_without_a_token_none_is_shown() -> None:
    async with open_client(device(), silence=3.0) as client:
        assert "authorization" not in client.headers


@pytest.mark.parametrize(("silence", "connect"), [(3.0, 3.0), (600.0, CONNECT_TIMEOUT)])
async def test_a_silence_is_bounded_and_a_connection_may_not_take_as_long(silence: float, connect: float) -> None:
    async with open_client(device(), silence=silence) as client:
        timeout = client.timeout
    assert (timeout.read, timeout.write, timeout.pool, timeout.connect) == (silence, silence, silence, connect)


@pytest.mark.parametrize("url", ["https://☃.example", "https://1.2.3.999"])
def test_an_address_that_only_the_http_client_refuses_is_named_as_such(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^API_URL=.* cannot be used"):
        open_client(device(api_url=url), silence=3.0)


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "ftp://proxy", "http://proxy:port"])
def test_a_proxy_that_cannot_be_used_is_named_with_the_form_it_takes(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match=r"proxy variable cannot be used .* http://host:port"):
        open_client(device(), silence=3.0)


async def test_the_kernel_ends_a_connection_on_which_nothing_is_acknowledged() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with TlsFront(None, lambda: answer) as front:
        async with (
            open_client(device(api_url=front.url), silence=7.0, keep_alive=60.0) as client,
            client.stream("GET", "/", extensions=socket_limits(7.0)) as got,
        ):
            opened = got.extensions["network_stream"].get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000


async def test_a_request_searches_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            searched.append(name)

    def answer() -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    with TlsFront(None, answer) as front:
        async with open_client(device(api_url=front.url), silence=7.0) as client:
            await client.get("/")  # loads what it needs once
            monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
            await client.get("/")
    assert searched == []
