"""What doctor says about real ways to a cloud: good ones, and each broken in its own place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from visantctl.doctor.checks import network
from visantctl.doctor.finding import Finding
from visantctl.host.engine import Engine
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.updates.ledger import Ledger
from visantctl.wiring import Device

from emulation.processes import Child, clean_environment
from tests.faults.fake_clock import FakeClock
from tests.faults.scenario import Skipped
from tests.support.hard_network import Authority, ConnectProxy, NoTls, TlsFront

TREE = Path(__file__).resolve().parents[3]


def answers(status: str = "404 Not Found", **fields: str) -> Callable[[], bytes]:
    from email.utils import formatdate

    lines = {"Date": formatdate(usegmt=True), "Content-Length": "0", "Connection": "close"} | fields
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return lambda: f"HTTP/1.1 {status}\r\n{head}\r\n".encode()


def check(folder: Path, **settings: str) -> list[Finding]:
    text = "".join(f"{key}='{value}'\n" for key, value in settings.items())
    (folder / ".env.device").write_text(f"DEVICE_ID=A1\n{text}")
    place = Place(folder, folder / "log", folder / "units")
    device = Device(place, Settings.load(place.env_file, {}), Engine(), Ledger(place), Log(place.log))
    return list(network.check(device))


def one_failure(found: list[Finding]) -> Finding:
    failures = [one for one in found if one.level == "FAIL"]
    assert len(failures) == 1, found
    assert failures[0].remedy
    return failures[0]


def test_a_good_way_is_told_step_by_step(tmp_path: Path, authority: Authority) -> None:
    with TlsFront(authority.certificate("good"), answers()) as front:
        found = check(tmp_path, API_URL=front.url, SSL_CERT_FILE=str(authority.file))
    assert [one.level for one in found if one.check == "network"] == ["PASS", "PASS", "PASS"]
    assert "good for 8" in found[1].text
    assert found[-1].check == "clock"


def test_a_name_that_is_none(tmp_path: Path) -> None:
    assert "(DNS)" in one_failure(check(tmp_path, API_URL="https://cloud.invalid")).text


def test_a_closed_port(tmp_path: Path) -> None:
    assert "port 9" in one_failure(check(tmp_path, API_URL="https://127.0.0.1:9")).text


def test_an_authority_that_is_not_known(tmp_path: Path, authority: Authority) -> None:
    with TlsFront(authority.certificate("private"), answers()) as front:
        failure = one_failure(check(tmp_path, API_URL=front.url))
    assert "certificate is not accepted" in failure.text
    assert "SSL_CERT_FILE" in failure.remedy


def test_http_where_https_is_meant(tmp_path: Path) -> None:
    with NoTls() as plain:
        assert "TLS fails" in one_failure(check(tmp_path, API_URL=f"https://127.0.0.1:{plain.port}")).text


def test_a_portal_that_leads_away(tmp_path: Path, authority: Authority) -> None:
    away = answers("302 Found", Location="https://portal.invalid/login")
    with TlsFront(authority.certificate("away"), away) as front:
        failure = one_failure(check(tmp_path, API_URL=front.url, SSL_CERT_FILE=str(authority.file)))
    assert "captive portal" in failure.text


def test_the_mark_of_a_portal_on_plain_http() -> None:
    import http.server
    import threading

    class Portal(http.server.BaseHTTPRequestHandler):
        status, location = 302, "http://portal.invalid/"

        def do_GET(self) -> None:
            self.send_response(self.status)
            if self.location:
                self.send_header("Location", self.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Portal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        said = []
        for Portal.status, Portal.location in (
            (302, "http://portal.invalid/"),
            (511, ""),
            (301, "https://127.0.0.1/"),
            (200, ""),
        ):
            said.append(network.portal("127.0.0.1", server.server_address[1]))
    finally:
        server.shutdown()
        server.server_close()
    assert [one is not None for one in said] == [True, True, False, False]
    assert network.portal("127.0.0.1", 9) is None


def test_through_a_proxy_and_its_ways_to_fail(tmp_path: Path, authority: Authority) -> None:
    with ConnectProxy("u", "p") as proxy, TlsFront(authority.certificate("behind"), answers()) as front:
        common = {"API_URL": front.url, "SSL_CERT_FILE": str(authority.file)}
        found = check(tmp_path, **common, HTTPS_PROXY=proxy.url)
        assert {one.level for one in found if one.check == "network"} == {"PASS"}
        assert "the proxy" in found[0].text
        failure = one_failure(check(tmp_path, **common, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}"))
        assert "password" in failure.text
        failure = one_failure(check(tmp_path, **common, HTTPS_PROXY="http://127.0.0.1:9"))
        assert "the proxy 127.0.0.1 takes no connection" in failure.text
        failure = one_failure(check(tmp_path, **common, HTTPS_PROXY="http://u:hunter22@proxy.invalid:3128"))
        assert "the proxy's name proxy.invalid is not found" in failure.text
        assert "hunter22" not in failure.text


def test_a_clock_a_year_behind_is_told_from_a_bad_certificate(tmp_path: Path, authority: Authority) -> None:
    try:
        clock = FakeClock(tmp_path / "clock")
    except Skipped as reason:
        pytest.skip(str(reason))
    clock.jump(f"{-365 * 86400}")

    def seen(url: str) -> list[dict[str, Any]]:
        (tmp_path / ".env.device").write_text(f"API_URL={url}\nSSL_CERT_FILE={authority.file}\n")
        child = Child(
            "doctor", [], clean_environment(PYTHONPATH=str(TREE / "deployment"), VISANT_ROOT=str(tmp_path)), _Nobody()
        )
        clock.wear(child)
        program = (
            "import json; from visantctl.wiring import Device; from visantctl.doctor.checks import network;"
            "print(json.dumps([one.as_json() for one in network.check(Device.here())]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env=child.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        value: list[dict[str, Any]] = json.loads(done.stdout)
        return [one for one in value if one["level"] != "PASS"]

    with TlsFront(authority.certificate("now"), lambda: answers()()) as front:
        found = seen(front.url)
    assert [(one["check"], one["level"]) for one in found] == [("clock", "FAIL")]
    assert "365.0 days behind" in found[0]["text"]
    assert found[0]["fix"] == ["visantctl", "clock"]
    clock.jump("+0")
    with TlsFront(authority.certificate("ended", when="-100d", days=30), lambda: answers()()) as front:
        found = seen(front.url)
    assert [(one["check"], one["level"]) for one in found] == [("network", "FAIL")]
    assert "this clock is right" in found[0]["text"]


class _Nobody:
    def line(self, name: str, text: str) -> None:
        """Nothing."""
