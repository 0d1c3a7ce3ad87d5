"""What a technician does at a site: looks, aims, asks for help; and sites that make it hard."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import NewPi
from tests.pi_host.pi import FROM_KIT, IMAGE, INSTALL, KIT, LABEL, Pi
from tests.pi_host.release import TREE, docker
from tests.pi_host.wait import wait_for
from tests.pi_host.ways import connected, picture
from tests.support.hard_network import Authority, ConnectProxy, TlsFront

GUIDE = (TREE / "deployment/OPERATIONS.md").read_text()


def address(pi: Pi) -> str:
    return docker("inspect", "--format", f'{{{{(index .NetworkSettings.Networks "{pi.network}").IPAddress}}}}', pi.name)


def test_doctor_sees_the_whole_road_and_fails_nothing(installed: Pi, cloud: Cloud) -> None:
    connected(installed, cloud)
    picture(installed, cloud)
    done = installed.sh("visantctl doctor --json", check=False)
    value = json.loads(done.out)
    assert [one for one in value["findings"] if one["level"] == "FAIL"] == []
    assert done.code == 0
    seen = {one["check"] for one in value["findings"] if one["level"] == "PASS"}
    assert seen >= {"settings", "docker", "release", "units", "camera", "network", "stream", "spool", "disk"}
    assert all(one.get("remedy") for one in value["findings"] if one["level"] != "PASS")
    texts = " | ".join(one["text"] for one in value["findings"])
    assert re.search(r"last event \d+ s ago", texts)
    assert re.search(r"\d+ pictures and \d+ reports wait", texts)
    assert "its address pools overlap no network of this site" in texts
    assert "visant-clock.timer is enabled and active" in texts


def test_a_neighbour_with_a_route_does_not_reach_the_camera(installed: Pi, cloud: Cloud) -> None:
    """Engines before 28 let it in, although the port is published on 127.0.0.1 only."""
    pi = installed
    subnet, camera = pi.sh(
        "docker network inspect visant_camera --format '{{(index .IPAM.Config 0).Subnet}}';"
        "docker inspect visant-camera-1 --format '{{.NetworkSettings.Networks.visant_camera.IPAddress}}'"
    ).out.split()
    look = f"import urllib.request; urllib.request.urlopen('http://{camera}:8080/state', timeout=4)"

    def neighbour_sees_it() -> bool:
        command = f'ip route add {subnet} via {address(pi)} && python3 -c "{look}"'
        return docker_status(
            "run", "--rm", "--cap-add=NET_ADMIN", f"--network={pi.network}", f"--label={LABEL}={pi.run}",
            IMAGE, "sh", "-c", command,
        ) == 0  # fmt: skip

    assert not neighbour_sees_it()
    pi.sh("iptables -F DOCKER-USER")
    if int(pi.sh("docker version --format '{{.Server.Version}}'").out.split(".")[0]) < 28:
        assert neighbour_sees_it(), "the rule is not what keeps it out"
        assert "can reach the camera" in pi.sh("visantctl doctor", check=False).out
    pi.sh("systemctl restart visant-device-v2")
    connected(pi, cloud)
    assert not neighbour_sees_it()
    assert "can reach the camera" not in pi.sh("visantctl doctor", check=False).out
    picture(pi, cloud)


def docker_status(*arguments: str) -> int:
    return subprocess.run(["docker", *arguments], capture_output=True, check=False, timeout=60).returncode


def test_doctor_repairs_what_it_may_and_names_the_rest(installed: Pi) -> None:
    pi = installed
    pi.sh("cp /opt/visant/.env.device /root/kept")
    pi.sh("systemctl disable --now visant-update.timer; systemctl stop visant-clock.timer")
    pi.sh("chmod 644 /opt/visant/.env.device; echo 'CAMERA_SOURSE=0' >>/opt/visant/.env.device")
    try:
        found = pi.doctor()
        assert (found["units"]["level"], found["settings"]["level"]) == ("WARN", "WARN")
        out = pi.sh("visantctl doctor --fix", check=False).out
        assert "CAMERA_SOURCE is meant?" in out
        assert "systemctl enable --now visant-clock.timer: done" in out
        assert pi.sh("stat -c %a /opt/visant/.env.device").out.strip() == "600"
        assert pi.sh("systemctl is-active visant-clock.timer").out.strip() == "active"
        assert pi.sh("systemctl is-enabled visant-update.timer", check=False).out.strip() == "disabled", (
            "as it was left"
        )
        pi.sh("systemctl enable --now visant-update.timer")
        assert pi.doctor()["units"]["level"] == "PASS"
    finally:
        pi.sh("install -m 600 /root/kept /opt/visant/.env.device; rm /root/kept")


def test_the_camera_the_logs_the_spool_and_the_bundle(installed: Pi) -> None:
    pi = installed
    done = pi.sh("visantctl camera probe", check=False)
    assert (done.code, "no camera found" in done.out) == (1, True), "the fake source is no device"
    pi.sh("cd /tmp && visantctl camera snapshot --out now.jpg")
    assert pi.sh("od -An -tx1 -N2 /tmp/now.jpg").out.split() == ["ff", "d8"]
    assert "no such" in pi.sh("visantctl camera snapshot --out /no/such/x.jpg", check=False).out.lower()
    assert "Connection confirmed by server" in pi.sh("visantctl logs -n all connector").out
    done = pi.sh("timeout --signal INT 8 visantctl logs -f", check=False)
    assert "camera" in done.out
    assert "Traceback" not in done.out
    assert pi.sh("visantctl logs nonsense", check=False).code != 0
    assert "pictures and" in pi.sh("visantctl spool ls").out
    assert pi.sh("visantctl spool requeue all").code == 0
    assert pi.sh("visantctl spool export /opt/visant/debug_captures/away --jpeg").code == 0
    pi.sh("rm -rf /opt/visant/debug_captures/away; cd /tmp && visantctl support-bundle --out /tmp/bundle.tar.gz")
    token = pi.sh("cat /opt/visant/secrets/device_token").out.strip()
    everything = pi.sh("tar -xzOf /tmp/bundle.tar.gz").out
    assert token not in everything
    assert "Connection confirmed by server" in everything
    assert pi.sh("stat -c %a /tmp/bundle.tar.gz").out.strip() == "600"


def test_the_aiming_page_is_open_for_who_knows_the_pin_and_gone_afterwards(installed: Pi) -> None:
    pi, where = installed, address(installed)
    before = pi.sh("ss -Hltn").out
    running = pi.start(f"visantctl aim --listen {where} >/tmp/aim.out 2>&1")
    try:
        found = wait_for(
            lambda: re.search(r"PIN (\d{3}) (\d{3})", pi.sh("cat /tmp/aim.out", check=False).out), 30, "a PIN"
        )
        phone = http.client.HTTPConnection(where, 8081, timeout=30)
        phone.request("GET", "/snapshot")
        answer = phone.getresponse()
        assert (answer.status, b"PIN" in answer.read()) == (401, True)
        phone.request("POST", "/pin", urlencode({"pin": found[1] + found[2]}))
        answer = phone.getresponse()
        answer.read()
        assert answer.status == 303
        phone.request("GET", "/snapshot", headers={"Cookie": answer.headers["Set-Cookie"].split(";")[0]})
        answer = phone.getresponse()
        assert answer.status == 200
        assert answer.read()[:2] == b"\xff\xd8"
        phone.close()
    finally:
        pi.sh("pkill -INT -f 'visantctl aim' || true")
        running.wait(30)
        if running.stdout:
            running.stdout.close()
    assert "closed: as asked" in pi.sh("cat /tmp/aim.out").out
    assert pi.sh("ss -Hltn").out == before


def test_the_clocks_timer_runs_and_finds_it_right(installed: Pi, cloud: Cloud) -> None:
    pi = installed
    assert pi.sh("systemctl is-active visant-clock.timer").out.strip() == "active"
    pi.sh("systemctl start visant-clock.service")
    assert "right within" in pi.sh("journalctl -u visant-clock -n 5 --no-pager -o cat").out


def test_a_clock_a_year_behind_would_be_set_by_the_cloud(installed: Pi) -> None:
    """The host may not set the machine's clock, so what is seen is that it asks to, for the right time."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        pytest.skip("no libfaketime: apt-get install libfaketime")
    installed.put(library, "/root/libfaketime.so.1")
    faked = "LD_PRELOAD=/root/libfaketime.so.1 FAKETIME=-365d FAKETIME_DONT_FAKE_MONOTONIC=1"
    done = installed.sh(f"{faked} python3 /opt/visant/current/deployment/bin/visantctl clock", check=False)
    assert done.code == 1, done.out
    assert f"it is {time.strftime('%Y-%m-%d', time.gmtime())}" in done.out
    assert "may not be set" in done.out
    installed.sh("rm /root/libfaketime.so.1")


def test_each_command_of_the_guide_works(installed: Pi, cloud: Cloud) -> None:
    """Those that only look, as they stand; the others are run by the tests beside this one, or with their own flags."""
    pi = installed
    elsewhere = ("aim", "enrol", "rollback", "configure HTTPS_PROXY", "configure SSL_CERT_FILE", "address-pools",
                 "update --from", "logs -f", "configure CAMERA_RESOLUTION", "spool export")  # fmt: skip
    shown = set(re.findall(r"`(?:sudo )?(visantctl [^`]+)`", GUIDE))
    shown |= {line.strip().removeprefix("sudo ") for line in re.findall(r"^    (.*visantctl .*)$", GUIDE, re.MULTILINE)}
    run = sorted(one for one in shown if not one.removeprefix("visantctl ").startswith(elsewhere))
    assert len(run) >= 12, run
    for command in run:
        done = pi.sh(f"cd /tmp && {command.replace(' NAME', ' redis')}", check=False, timeout=120)
        expected = 1 if command == "visantctl camera probe" else 0  # there is no device beside the fake source
        assert done.code == expected, f"{command}: {done.code}\n{done.out}"
        assert "Traceback" not in done.out
    assert pi.sh("visantctl address-pools", check=False).code == 0
    assert pi.sh("visantctl rollback", check=False).code == 1, "there is none before the first"
    before = pi.sh("cat /opt/visant/.env.device").out
    try:
        pi.sh("visantctl configure CAMERA_RESOLUTION=640x480 && systemctl restart visant-device-v2")
        connected(pi, cloud)
        pi.sh("visantctl camera snapshot --out /tmp/small.jpg")
        assert "640x480" in pi.doctor()["camera"]["text"]
    finally:
        pi.write("/opt/visant/.env.device", before, mode="600")
        pi.sh("systemctl restart visant-device-v2")
        connected(pi, cloud)


HOST = "cloud.site.test"


@pytest.fixture(scope="module")
def site(
    cloud: Cloud, network: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Authority, TlsFront, ConnectProxy]]:
    """A cloud under a name that only the site's proxy knows, with a certificate of the site's own CA."""
    authority = Authority(tmp_path_factory.mktemp("site"))
    where = docker(
        "inspect", "--format", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', cloud.name
    )
    gateway = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network)
    names = {HOST: "127.0.0.1", "registry.site.test": "127.0.0.1"}
    certificate = authority.certificate("site", host=HOST)
    with TlsFront(certificate, (where, 8000)) as front, ConnectProxy(host=gateway, names=names) as proxy:
        yield authority, front, proxy


def test_a_site_with_a_proxy_and_its_own_ca(
    new_pi: NewPi, cloud: Cloud, site: tuple[Authority, TlsFront, ConnectProxy]
) -> None:
    authority, front, proxy = site
    pi = new_pi("FIELD-PROXY", engine=True)
    pi.put(authority.file, f"{KIT}/ca.pem")
    pi.write(f"{KIT}/code", cloud.enrol_code(pi.device), mode="600")
    url = f"https://{HOST}:{front.port}"
    done = pi.sh(
        f"{INSTALL} --device-id {pi.device} --api-url {url} --proxy {proxy.url} --ca-file {KIT}/ca.pem"
        f" --enrol-file {KIT}/code {FROM_KIT} --camera fake --yes",
        check=False,
    )
    assert done.code == 0, done.out
    picture(pi, cloud)
    assert f"CONNECT {HOST}:{front.port}" in proxy.asked
    text = json.dumps(pi.doctor())
    assert "the proxy" in text
    assert pi.sh("docker info --format '{{.HTTPSProxy}}'").out.strip() == proxy.url

    # The Engine: through the proxy, to a registry with a certificate of the site's CA.
    def registry() -> bytes:
        body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such manifest here"}]}'
        head = f"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n".encode() + body

    with TlsFront(authority.certificate("registry", host="registry.site.test"), registry) as shop:
        pull = f"docker pull registry.site.test:{shop.port}/visant/camera:9.9.9"
        said = pi.sh(pull, check=False).out
        assert "no such manifest here" in said or "not found" in said, said
        assert f"CONNECT registry.site.test:{shop.port}" in proxy.asked
        # Without the site's settings nothing of it is left, and the Engine is told of it once.
        pi.sh("visantctl configure HTTPS_PROXY= SSL_CERT_FILE=")
        assert "restarting it" in pi.sh("visantctl uplink").out
        assert "nothing to change" in pi.sh("visantctl uplink").out
        assert pi.sh("test -e /etc/systemd/system/docker.service.d/visant-uplink.conf", check=False).code == 1
        said = pi.sh(pull, check=False).out
        assert "no such host" in said or "lookup" in said or "server misbehaving" in said, said
    found = pi.doctor()
    assert found["network"]["level"] == "FAIL"
    assert "(DNS)" in found["network"]["text"]
    # An edit and a restart of the service are enough, the Engine included.
    pi.sh(f"visantctl configure HTTPS_PROXY={proxy.url} SSL_CERT_FILE=/run/secrets/ca.pem")
    pi.sh("systemctl restart visant-device-v2", timeout=200)
    assert pi.sh("docker info --format '{{.HTTPSProxy}}'").out.strip() == proxy.url
    picture(pi, cloud, 90)


def test_the_page_closes_with_its_terminal(installed: Pi) -> None:
    """`script` is the terminal; it is killed as a lost SSH session is."""
    running = installed.start("script -qfc 'visantctl aim --listen all' /tmp/terminal.out")
    wait_for(lambda: "PIN" in installed.sh("cat /tmp/terminal.out", check=False).out, 30, "the page")
    installed.sh("pkill -KILL -x script || true")
    wait_for(lambda: ":8081" not in installed.sh("ss -Hltn").out, 20, "the end of the page")
    running.send_signal(signal.SIGKILL)
    running.wait(20)
    if running.stdout:
        running.stdout.close()


def test_a_real_clock_a_year_behind_is_set_in_a_machine_of_its_own(tmp_path: Path) -> None:
    """In the camera rig's virtual machine: the one place where a test may set a clock."""
    authority = Authority(tmp_path / "ca")
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copy(authority.file, folder / "ca.pem")
    shutil.copy(authority.certificate("now"), folder / "now.pem")
    shutil.copy(authority.certificate("ended", when="-300d", days=200), folder / "ended.pem")
    rig = TREE / "tests/camera_rig"
    subprocess.run([str(rig / "setup.sh")], check=True, timeout=400)
    done = subprocess.run(
        [
            *(str(rig / "boot.sh"), str(folder), "env", "PYTHONPATH=deployment"),
            *(sys.executable, "-m", "tests.pi_host.year_behind", "/run/results"),
        ],
        env={**os.environ, "RIG_TIMEOUT": "300"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=400, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert "both as they should be" in done.stdout
