"""A site with a proxy and an authority of its own: the services, visantctl and the Engine get through alike."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from visantctl.errors import Misconfigured, Unreachable
from visantctl.host.env_file import checked_proxy
from visantctl.network.uplink import goes_through_proxy, opener
from visantctl.releases import fetch

from emulation.stack import Cloud, Device
from emulation.wait import until
from tests.support.hard_network import Authority, ConnectProxy, TlsFront

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture
def front(authority: Authority) -> Iterator[TlsFront]:
    with TlsFront(authority.certificate("front"), lambda: ANSWER) as front:
        yield front


def test_visantctl_goes_through_the_proxy_with_its_password_and_trusts_the_sites_ca(
    authority: Authority, front: TlsFront
) -> None:
    with ConnectProxy("anna", "p@ss") as proxy:
        given = {"HTTPS_PROXY": proxy.url.replace("p@ss", "p%40ss"), "SSL_CERT_FILE": str(authority.file)}
        assert fetch.small(f"{front.url}/x", 100, given) == b"ok"
        assert proxy.asked == [f"CONNECT 127.0.0.1:{front.port}"]
        with pytest.raises(Unreachable, match="407"):
            fetch.small(f"{front.url}/x", 100, {**given, "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"})
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            fetch.small(f"{front.url}/x", 100, {"HTTPS_PROXY": given["HTTPS_PROXY"]})


def test_no_proxy_of_the_settings_is_honoured(authority: Authority, front: TlsFront) -> None:
    with ConnectProxy() as proxy:
        given = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(authority.file), "NO_PROXY": "example.org,127.0.0.1"}
        assert fetch.small(f"{front.url}/x", 100, given) == b"ok"
        assert proxy.asked == []
        assert goes_through_proxy(given, front.url) is None
        assert goes_through_proxy(given, "https://cloud.example") == proxy.url


def test_an_own_ca_adds_to_the_public_ones(authority: Authority) -> None:
    from visantctl.network.uplink import context

    public = len(ssl.create_default_context().get_ca_certs())
    assert len(context({"SSL_CERT_FILE": str(authority.file)}).get_ca_certs()) == public + 1


def test_a_redirection_is_followed_only_where_it_is_wanted(authority: Authority) -> None:
    away = b"HTTP/1.1 302 Found\r\nLocation: https://portal.invalid/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with TlsFront(authority.certificate("away"), lambda: away) as front:
        given = {"SSL_CERT_FILE": str(authority.file)}
        with pytest.raises(urllib.error.HTTPError, match="302"):
            opener(given, follow=False).open(front.url, timeout=10)


@pytest.mark.parametrize(
    "value",
    ["proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://", "http://proxy:port", "http://a b:1",
     "http://user:hunter22@proxy:port", "http://proxy:3128/path"],
)  # fmt: skip
def test_a_proxy_that_not_all_would_understand_is_refused_by_name_without_its_password(value: str) -> None:
    with pytest.raises(Misconfigured, match="HTTPS_PROXY") as caught:
        checked_proxy("HTTPS_PROXY", value)
    assert "hunter22" not in str(caught.value)
    assert "http://proxy.example:3128" in str(caught.value)


async def test_a_picture_gets_through_the_proxy_to_a_cloud_with_a_ca_of_the_site(
    tmp_path: Path, authority: Authority, cloud: Cloud, lines: Any
) -> None:
    with ConnectProxy("anna", "secret") as proxy, TlsFront(authority.certificate("cloud"), cloud.port) as front:
        settings = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(authority.file), "NO_PROXY": "localhost"}
        device = Device("HARD-1", tmp_path / "device", front.url, lines, settings)
        await device.start()
        try:
            await device.healthy()
            trigger = _ask(f"{cloud.url}/v1/devices/HARD-1/trigger", b"{}")["trigger_id"]

            async def executed() -> bool:
                rows = _ask(f"{cloud.url}/v1/devices/HARD-1/triggers")["triggers"]
                return any(one["trigger_id"] == trigger and one["status"] == "executed" for one in rows)

            await until("the picture is in the cloud", executed, within=60)
        finally:
            await device.stop()
    assert proxy.asked, "nothing went through the proxy"
    assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{front.port}"}


def _ask(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("service", ["connector", "uploader"])
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_file_that_is_none_ends_the_start_in_one_line(tmp_path: Path, service: str, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    done = subprocess.run(
        [str(Path(sys.executable).parent / f"visant-{service}"), "run"],
        env={"PATH": os.environ["PATH"], "DEVICE_ID": "A", "API_URL": "https://127.0.0.1:9", "SSL_CERT_FILE": str(file),
             "SPOOL_DIR": str(tmp_path / "spool"), "HEARTBEAT_FILE": str(tmp_path / "beat")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 78, done
    errors = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line]
    assert len(errors) == 1, done
    assert "SSL_CERT_FILE" in errors[0]
    assert "Traceback" not in done.stderr
