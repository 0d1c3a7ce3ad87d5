"""`visantctl aim --listen` before a real camera service, in a network of its own: a LAN, a hotspot, a tailnet."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest
from playwright.async_api import async_playwright

TREE = Path(__file__).resolve().parents[3]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
LAN, HOTSPOT, TAILNET = "192.168.77.5", "10.41.0.1", "100.101.102.103"
NETWORK = f"""
ip link set lo up
add() {{
    ip link add "$1" type veth peer name "$1-end"
    ip address add "$2" dev "$1"
    ip link set "$1" up
    ip link set "$1-end" up
}}
add eth0 {LAN}/24
add wlan0 {HOTSPOT}/24
add tailscale0 {TAILNET}/32
add docker0 172.17.0.1/16
add wwan0 8.8.4.4/32
echo ready
exec sleep 900
"""
T = TypeVar("T")


def wait_for(condition: Callable[[], Any], seconds: float = 40, what: str = "it") -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:g} s")


class Site:
    """A network namespace with the device in it; nothing of it can be reached from outside."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-ec", NETWORK], stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline().strip() == "ready"
        self.enter = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]

    def inside(self, work: Callable[[], T]) -> T:
        """Call `work` in a thread whose new sockets are of this network."""
        done: list[Any] = []

        def there() -> None:
            with open(f"/proc/{self._holder.pid}/ns/net") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
                    done.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                done.append(work())
            except Exception as error:  # noqa: BLE001 - raised again below, in the test's thread
                done.append(error)

        thread = threading.Thread(target=there)
        thread.start()
        thread.join(60)
        if isinstance(done[0], Exception):
            raise done[0]
        result: T = done[0]
        return result

    def listening(self) -> list[str]:
        out = subprocess.run([*self.enter, "ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
        return sorted(line.split()[3] for line in out.splitlines())

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs root, util-linux and iproute2 for a network namespace")
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def camera(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real camera service with the fake source; its port."""
    folder = tmp_path_factory.mktemp("camera")
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    process = subprocess.Popen(
        [*site.enter, str(Path(sys.executable).with_name("visant-camera")), "run"],
        env={**kept, "CAMERA_SOURCE": "fake", "HTTP_PORT": "8080", "HEARTBEAT_FILE": str(folder / "beat"),
             "CAMERA_STATE_DIR": str(folder)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: "127.0.0.1:8080" in site.listening(), what="the camera service")
    yield 8080
    process.terminate()
    process.wait(30)


class Aim:
    """A running `visantctl aim`."""

    def __init__(self, site: Site, root: Path, *words: str, **how: Any) -> None:
        self.site = site
        self.out = root / "aim.out"
        command = [*site.enter, sys.executable, str(TREE / "deployment/bin/visantctl"), "aim", *words]
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                command, env={**os.environ, "VISANT_ROOT": str(root)}, stdin=subprocess.DEVNULL,
                **{"stdout": out, "stderr": subprocess.STDOUT, **how},
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.out.read_text()

    @property
    def pin(self) -> str:
        found = wait_for(
            lambda: re.search(r"^PIN (\d{3}) (\d{3})$", self.text, re.MULTILINE), what=f"a PIN: {self.text}"
        )
        return str(found[1] + found[2])

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def aim(site: Site, camera: int, tmp_path: Path) -> Iterator[Callable[..., Aim]]:
    running: list[Aim] = []

    def start(*words: str, **how: Any) -> Aim:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Aim(site, folder, *words, **how))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.end()


class Phone:
    """Keeps its cookie."""

    def __init__(self, site: Site, address: str = LAN, port: int = 8081, source: str | None = None) -> None:
        self._site, self._address, self._port, self._source = site, address, port, source
        self.cookie = ""

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes]:
        def there() -> tuple[int, bytes]:
            source = (self._source, 0) if self._source else None
            connection = http.client.HTTPConnection(self._address, self._port, timeout=30, source_address=source)
            try:
                connection.request(method, path, body, {"Cookie": self.cookie, **headers})
                answer = connection.getresponse()
                self.cookie = (answer.headers["Set-Cookie"] or self.cookie).split(";")[0]
                return answer.status, answer.read()
            finally:
                connection.close()

        return self._site.inside(there)

    def sign_in(self, pin: str) -> int:
        return self.ask("POST", "/pin", urlencode({"pin": pin}))[0]


def test_it_listens_on_own_networks_alone_and_on_nothing_afterwards(site: Site, aim: Callable[..., Aim]) -> None:
    before = site.listening()
    one = aim("--listen")
    assert one.pin
    assert set(site.listening()) - set(before) == {f"{LAN}:8081", f"{HOTSPOT}:8081", f"{TAILNET}:8081"}
    assert f"http://{HOTSPOT}:8081/" in one.text
    assert "8.8.4.4" not in one.text, "a public address was opened"
    assert one.end() == 0
    assert site.listening() == before
    assert "closed: as asked" in one.text


@pytest.mark.parametrize(
    ("where", "opened"),
    [("lan", [LAN]), ("hotspot", [HOTSPOT]), ("tailscale", [TAILNET]), ("eth0", [LAN]), (TAILNET, [TAILNET])],
)
def test_only_what_was_chosen_is_opened(site: Site, aim: Callable[..., Aim], where: str, opened: list[str]) -> None:
    before = set(site.listening())
    one = aim("--listen", where)
    assert one.pin
    assert set(site.listening()) - before == {f"{address}:8081" for address in opened}


def test_without_the_pin_there_is_nothing_and_with_it_the_page_and_no_more(site: Site, aim: Callable[..., Aim]) -> None:
    one = aim("--listen", "lan")
    phone = Phone(site)
    pin = one.pin
    for path in ("/stream", "/snapshot", "/state", "/controls", "/metrics"):
        status, body = phone.ask("GET", path)
        assert status == 401, path
        assert "PIN" in json.loads(body)["detail"]
    assert phone.ask("PATCH", "/controls", '{"brightness": 3}')[0] == 401
    status, body = phone.ask("GET", "/")
    assert status == 401
    assert b"<form" in body
    assert phone.sign_in(f"{pin[:3]} {pin[3:]}") == 303
    assert b"Live picture" in phone.ask("GET", "/")[1]
    wait_for(lambda: phone.ask("GET", "/snapshot")[0] == 200, what="a picture")
    assert phone.ask("GET", "/snapshot")[1][:2] == b"\xff\xd8"
    assert json.loads(phone.ask("GET", "/state")[1])["state"] == "ok"
    assert phone.ask("PATCH", "/controls", '{"brightness": 3}')[0] == 200
    assert phone.ask("PATCH", "/controls", "{")[0] == 422
    for method, path in (("GET", "/metrics"), ("GET", "/fake/faults"), ("POST", "/fake/faults"), ("GET", "/../state"),
                         ("PATCH", "/state"), ("GET", "//metrics")):  # fmt: skip
        assert phone.ask(method, path, "{}" if method != "GET" else None)[0] == 404, path
    assert phone.ask("DELETE", "/controls")[0] == 501
    assert "signed in" in one.text
    assert pin not in one.text.replace(f"PIN {pin[:3]} {pin[3:]}", "")


def test_the_preview_is_passed_on_as_it_comes(site: Site, aim: Callable[..., Aim]) -> None:
    one = aim("--listen", "lan")
    phone = Phone(site)
    assert phone.sign_in(one.pin) == 303

    def watch() -> tuple[str, list[float]]:
        connection = http.client.HTTPConnection(LAN, 8081, timeout=30)
        connection.request("GET", "/stream?fps=10", headers={"Cookie": phone.cookie})
        answer = connection.getresponse()
        kind = answer.headers["Content-Type"]
        times: list[float] = []
        while len(times) < 6:
            if b"--visant-frame" in answer.read1(65536):
                times.append(time.monotonic())
        connection.close()
        return kind, times

    kind, times = site.inside(watch)
    assert kind.startswith("multipart/x-mixed-replace")
    assert times[-1] - times[0] > 0.2, "all came at once"
    # Who leaves frees the camera's viewer: there are two, and this is the third to come.
    site.inside(watch)
    site.inside(watch)


def test_wrong_pins_lock_their_address_and_not_the_others(site: Site, aim: Callable[..., Aim]) -> None:
    one = aim("--listen")
    wrong = "000000" if one.pin != "000000" else "111111"
    guesser = Phone(site, source=HOTSPOT)
    assert [guesser.sign_in(wrong) for _ in range(5)] == [403, 403, 403, 403, 429]
    assert guesser.sign_in(one.pin) == 429, "the right one must not help any more"
    assert guesser.ask("GET", f"/?pin={one.pin}")[0] == 429
    assert Phone(site, source=TAILNET).sign_in(one.pin) == 303


def test_guessing_from_many_addresses_closes_it(site: Site, aim: Callable[..., Aim]) -> None:
    one = aim("--listen", "lan")
    wrong = "000000" if one.pin != "000000" else "111111"
    for last in range(2, 7):
        source = f"127.0.1.{last}"  # addresses of this namespace's loopback
        for _ in range(5):
            # The last wrong one closes the page, perhaps before its own answer has left.
            with contextlib.suppress(OSError, http.client.HTTPException):
                Phone(site, source=source).sign_in(wrong)
    assert one.process.wait(20) == 1
    assert "somebody was guessing" in one.text
    assert not any(":8081" in entry for entry in site.listening())


def test_it_closes_itself(site: Site, aim: Callable[..., Aim]) -> None:
    one = aim("--listen", "lan", "--minutes", "0.05")
    phone = Phone(site)
    assert phone.sign_in(one.pin) == 303
    assert one.process.wait(40) == 0
    assert "closed: the 0.05 minutes are over" in one.text
    assert not any(":8081" in entry for entry in site.listening())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_it_closes_when_the_terminal_hangs_up(site: Site, aim: Callable[..., Aim], number: signal.Signals) -> None:
    one = aim("--listen", "lan")
    assert one.pin
    one.process.send_signal(signal.SIGTSTP)  # Ctrl-Z must not leave it open for ever
    one.process.send_signal(number)
    assert one.process.wait(20) == 0
    assert not any(":8081" in entry for entry in site.listening())


def test_it_closes_when_nobody_reads_its_output_any_more(site: Site, aim: Callable[..., Aim]) -> None:
    read, write = os.pipe()
    one = aim("--listen", "lan", stdout=write, stderr=write)
    os.close(write)
    text = b""
    while b"PIN" not in text:
        text += os.read(read, 65536)
    os.close(read)
    assert one.process.wait(20) == 0
    assert not any(":8081" in entry for entry in site.listening())


def test_a_second_one_and_wrong_words_end_in_one_line(site: Site, aim: Callable[..., Aim]) -> None:
    first = aim("--listen", "lan")
    assert first.pin
    for words, code, said in (
        (("--listen", "lan"), 1, "does another visantctl aim run"),
        (("--listen", "mars"), 2, "'mars'"),
        (("--listen", "8.8.4.4"), 2, "8.8.4.4"),
        (("--listen", "docker0"), 2, "docker0"),
        (("--listen", "--minutes", "0"), 2, "--minutes 0"),
        (("--listen", "--minutes", "nan"), 2, "--minutes nan"),
        (("--listen", "--port", "70000"), 2, "--port 70000"),
    ):
        other = aim(*words)
        assert other.process.wait(30) == code, other.text
        assert said in other.text
        assert len(other.text.strip().splitlines()) == 1, other.text


def test_without_listen_nothing_is_opened_and_the_ways_are_named(site: Site, aim: Callable[..., Aim]) -> None:
    before = site.listening()
    one = aim()
    assert one.process.wait(30) == 0
    assert "ssh -L 8080:127.0.0.1:8080" in one.text
    assert site.listening() == before


def test_no_camera_service_is_said_before_anything_is_opened(
    site: Site, aim: Callable[..., Aim], tmp_path: Path
) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    (folder / ".env.device").write_text("CAMERA_PORT=9\n")
    one = Aim(site, folder, "--listen", "lan")
    assert one.process.wait(30) == 1
    assert "the camera service does not answer at 127.0.0.1:9" in one.text


def test_rubbish_and_idle_connections_do_no_harm(site: Site, aim: Callable[..., Aim]) -> None:
    one = aim("--listen", "lan")
    pin = one.pin

    def rubbish() -> None:
        import socket

        held = [socket.create_connection((LAN, 8081), timeout=10) for _ in range(60)]
        for number, connection in enumerate(held):
            payload = (b"", b"\x16\x03\x01" + bytes(range(256)), b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000)[number % 3]
            with contextlib.suppress(OSError):
                connection.sendall(payload)
        for connection in held:
            connection.close()

    site.inside(rubbish)
    wait_for(lambda: _signed_in(site, pin), what="an answer after the rubbish")
    phone = Phone(site)
    assert phone.ask("POST", "/pin", "x" * 70_000)[0] == 413
    assert phone.ask("POST", "/pin", "pin=%ff%fe")[0] == 403
    assert phone.ask("GET", "/state", Cookie='visant_aim="; \x7f=')[0] == 401


def _signed_in(site: Site, pin: str) -> bool:
    try:
        return Phone(site, source="127.0.2.1").sign_in(pin) == 303
    except (OSError, http.client.HTTPException):
        return False


def test_the_qr_code_holds_the_address_with_the_pin(site: Site, aim: Callable[..., Aim]) -> None:
    if not shutil.which("qrencode"):
        pytest.skip("no qrencode: apt-get install qrencode")
    one = aim("--listen", "lan")
    pin = one.pin
    rows = [line for line in one.text.splitlines() if re.fullmatch(r"[ █▀▄]{20,}", line)]
    width = max(map(len, rows))
    modules = np.zeros((2 * len(rows), width), np.uint8)
    for y, row in enumerate(rows):
        for x, character in enumerate(row.ljust(width)):
            modules[2 * y, x] = 255 if character in "█▀" else 0
            modules[2 * y + 1, x] = 255 if character in "█▄" else 0
    picture = cv2.copyMakeBorder(modules.repeat(8, 0).repeat(8, 1), 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    assert text == f"http://{LAN}:8081/?pin={pin}"


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (Debian's package `chromium`)")
async def test_a_phone_signs_in_and_aims(site: Site, aim: Callable[..., Aim], tmp_path: Path) -> None:
    """In Chromium; the screenshots lie in AIM_SCREENSHOTS where that is set."""
    one = aim("--listen", "lan")
    wrapper = tmp_path / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(site.enter)} {BROWSER} "$@"\n')
    wrapper.chmod(0o755)
    pictures = Path(os.environ.get("AIM_SCREENSHOTS") or tmp_path)
    pin = await asyncio.to_thread(lambda: one.pin)
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", "--disable-dev-shm-usage"]  # fmt: skip
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=str(wrapper), args=flags, viewport={"width": 390, "height": 844}
        )
        browser.set_default_timeout(120_000)
        page = await browser.new_page()
        await page.goto(f"http://{LAN}:8081/")
        await page.fill("input[name=pin]", "000000" if pin != "000000" else "111111")
        await page.click("button")
        assert "not the PIN. 4 tries left" in await page.inner_text(".error")
        await page.screenshot(path=str(pictures / "aim-sign-in.png"))
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await page.fill("input[name=pin]", pin)
        await page.click("button")
        await page.wait_for_function("document.getElementById('state')?.textContent === 'ok'")
        await page.wait_for_function("document.getElementById('veil').hidden")
        await page.wait_for_function("document.getElementById('sharp').textContent !== '–'")
        first = await page.evaluate("document.getElementById('picture').toDataURL()")
        await page.wait_for_function("before => document.getElementById('picture').toDataURL() !== before", arg=first)
        assert await page.evaluate("document.cookie") == "", "scripts can read the cookie"
        async with page.expect_response(lambda answer: answer.request.method == "PATCH") as changed:
            await page.select_option("#c-auto_exposure", "1")
        assert (await changed.value).status == 200
        await page.screenshot(path=str(pictures / "aim-page.png"))
        await page.goto(f"http://{LAN}:8081/")  # asked once
        await page.wait_for_function("document.getElementById('veil')?.hidden")
        one.process.send_signal(signal.SIGINT)
        await page.wait_for_function("document.getElementById('state').textContent === 'service away'")
        await browser.close()
        scanned = await asyncio.to_thread(lambda: aim("--listen", "lan").pin)
        other = await playwright.chromium.launch_persistent_context(
            str(tmp_path / "other"), executable_path=str(wrapper), args=flags, viewport={"width": 390, "height": 844}
        )
        other.set_default_timeout(120_000)
        page = await other.new_page()
        await page.goto(f"http://{LAN}:8081/?pin={scanned}")
        await page.wait_for_function("document.getElementById('state')?.textContent === 'ok'")
        assert page.url == f"http://{LAN}:8081/", "the PIN stays in the address"
        await other.close()
