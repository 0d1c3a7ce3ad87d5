"""What people do to a device, and what it says and does then. One host; each test leaves it a working device."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import NewPi
from tests.pi_host.pi import FROM_KIT, INSTALL, KIT, Pi
from tests.pi_host.release import VERSION
from tests.pi_host.wait import wait_for
from tests.pi_host.ways import picture

RESTART = "systemctl restart visant-device-v2"
RUNNING = "docker ps --quiet --filter label=com.docker.compose.project=visant"


@pytest.fixture(scope="module")
def pi(new_pi: NewPi) -> Pi:
    return new_pi("MANNERS", engine=True)


def level(pi: Pi, check: str) -> str:
    return str(pi.doctor()[check]["level"])


def test_without_a_camera_the_installation_ends_well_and_says_so(pi: Pi, cloud: Cloud) -> None:
    pi.write(f"{KIT}/code", cloud.enrol_code(pi.device), mode="600")
    who = f"--device-id {pi.device} --api-url {cloud.url} --enrol-file {KIT}/code"
    done = pi.sh(f"{INSTALL} {who} {FROM_KIT} --yes", check=False)
    assert done.code == 0, done.out
    assert "installed, camera missing" in done.out
    assert level(pi, "camera") == "FAIL", "whoever asks later is told that there is no picture"
    pi.sh(f"visantctl configure CAMERA_SOURCE=fake; {RESTART}")
    picture(pi, cloud)


def test_a_device_that_was_just_installed_is_as_it_was_published(pi: Pi) -> None:
    found = pi.doctor()
    assert {found[name]["level"] for name in ("files", "rights", "camera")} == {"PASS"}, found


def facts_inside(pi: Pi) -> dict[str, Any]:
    """What the uploader's container sees of the host."""
    read = pi.sh("docker exec visant-uploader-1 cat /run/visant-host/facts.json", check=False).out
    return dict(json.loads(read)["facts"]) if read.startswith("{") else {}


def test_the_cloud_is_told_what_only_the_host_knows(pi: Pi, cloud: Cloud) -> None:
    def told() -> dict[str, Any]:
        return (cloud.ask(f"/v1/devices/{pi.device}")["telemetry"] or {}).get("host") or {}

    wait_for(lambda: told().get("release") == VERSION, 120, "the host's facts at the cloud")
    wait_for(lambda: facts_inside(pi).get("engine"), 60, "what is asked after the start")
    assert facts_inside(pi)["restarts"].keys() == {"camera", "connector", "redis", "uploader"}


def test_a_disabled_device_stays_stopped_after_a_power_cut(pi: Pi, cloud: Cloud) -> None:
    pi.sh("systemctl disable visant-device-v2")
    assert pi.sh(RUNNING).out.split(), "it runs until then"
    pi.power_cut()
    pi.power_on()
    assert pi.sh("systemctl is-active docker").out.strip() == "active"
    assert pi.sh(RUNNING).out.split() == []
    pi.sh("systemctl enable --now visant-device-v2")
    picture(pi, cloud)
    pi.power_cut()
    pi.power_on()
    picture(pi, cloud)
    wait_for(lambda: facts_inside(pi).get("engine"), 60, "the folder in memory, made anew, in the old container")


def test_the_old_guides_chown_and_chmod_and_rights_in_an_edited_file_are_found_and_mended(pi: Pi, cloud: Cloud) -> None:
    pi.sh("getent passwd pi || useradd --create-home --groups adm --shell /bin/bash pi")
    pi.sh("chown -R pi:pi /opt/visant; chmod -R 755 /opt/visant")
    pi.sh("echo '# mine' >>/etc/systemd/system/visant-update.service")
    pi.sh(r"sed -i 's/^  camera:$/  camera:\n    privileged: true/' /opt/visant/current/compose.yaml; " + RESTART)
    found = pi.doctor()
    assert "wrong owner or mode" in found["files"]["text"], found
    assert found["rights"]["text"].startswith("more than the release gives: camera has privileged"), found
    assert "compose.yaml" in pi.sh("visantctl doctor", check=False).out
    pi.sh("visantctl doctor --fix", check=False)
    found = pi.doctor()
    assert {found[name]["level"] for name in ("files", "rights", "settings")} == {"PASS"}, found
    assert pi.sh("stat -c '%U %a' /opt/visant/.env.device").out.split() == ["root", "600"]
    picture(pi, cloud)


def test_a_taken_port_stops_no_picture_and_who_has_it_is_named(pi: Pi, cloud: Cloud) -> None:
    pi.sh("systemctl stop visant-device-v2")
    other = pi.start("exec python3 -m http.server --bind 127.0.0.1 8080")
    try:
        pi.sh("timeout 20 sh -c 'until ss -Hltn sport = :8080 | grep -q 8080; do sleep 0.1; done'")
        pi.sh("systemctl start visant-device-v2")
        picture(pi, cloud)
        said = pi.doctor()["camera"]
        assert said["text"].startswith("its page is at http://127.0.0.1:8081/: port 8080 is taken by python3"), said
        assert "http://127.0.0.1:8081/" in pi.sh("visantctl aim").out
    finally:
        pi.sh("pkill --full 'http.server --bind 127.0.0.1 8080'", check=False)
        other.wait()
    pi.sh(RESTART)
    picture(pi, cloud)
    assert level(pi, "camera") == "PASS", "back where its page belongs"


def test_a_service_that_restarts_is_shown_with_its_own_last_error(pi: Pi, cloud: Cloud) -> None:
    pi.sh(f"visantctl configure UPLOAD_TIMEOUT=30s; {RESTART}")
    wait_for(
        lambda: "UPLOAD_TIMEOUT='30s' is not valid" in pi.sh("visantctl doctor", check=False).out, 60, "its reason"
    )
    pi.sh(f"visantctl configure UPLOAD_TIMEOUT=30; {RESTART}")
    picture(pi, cloud)


def test_the_cloud_holds_pins_and_starts_updates_and_a_link_leads_nowhere(pi: Pi, cloud: Cloud) -> None:
    file = "/var/lib/docker/volumes/visant_spool/_data/update-request.json"

    def ask(value: object) -> None:
        cloud.ask(f"/v1/devices/{pi.device}/config", "PUT", {"update": value})

    def told() -> str:
        return str(json.loads(pi.sh("cat /opt/visant/shared/update.json").out).get("updates"))

    ask("hold")
    wait_for(lambda: told() == "on hold", 60, "the hold")
    assert "on hold, by the cloud" in pi.sh("visantctl status").out
    pi.power_cut()
    pi.power_on()
    picture(pi, cloud)
    assert told() == "on hold"
    ask({"pin": VERSION})
    wait_for(lambda: told() == f"pinned to {VERSION}", 60, "the pin")
    looks = pi.sh("journalctl -u visant-update.service --no-pager").out.count("Starting")
    ask("now")
    wait_for(
        lambda: pi.sh("journalctl -u visant-update.service --no-pager").out.count("Starting") > looks, 60, "the look"
    )
    before = pi.sh("sha256sum /etc/shadow").out
    pi.sh(f"ln -s /etc/shadow {file}")
    wait_for(lambda: pi.sh(f"test -L {file}", check=False).code == 1, 60, "the link's end")
    assert pi.sh("sha256sum /etc/shadow").out == before
    ask("resume")
    wait_for(lambda: told() == "None", 60, "the end of the pin")
    assert pi.doctor()["units"]["level"] == "PASS"


def test_status_and_logs_need_no_sudo(pi: Pi) -> None:
    pi.sh("getent passwd pi || useradd --create-home --groups adm --shell /bin/bash pi")
    assert "visant-device-v2.service is active" in pi.sh("su pi -c 'visantctl status'").out
    assert "Connection confirmed by server" in pi.sh("su pi -c 'visantctl logs -n all connector'").out


def test_a_key_with_a_typing_error_is_named_by_the_services(pi: Pi, cloud: Cloud) -> None:
    pi.sh(f"echo DEVICE_TOKN=x >>/opt/visant/.env.device; {RESTART}")
    picture(pi, cloud)
    for service in ("camera", "connector", "uploader"):
        assert (
            "[WARNING] DEVICE_TOKN is no setting, it does nothing: is DEVICE_TOKEN meant?"
            in pi.sh(f"visantctl logs {service}").out
        )
    pi.sh(f"sed -i /DEVICE_TOKN/d /opt/visant/.env.device; {RESTART}")


def test_a_wrong_token_is_told_by_one_command_and_its_remedy_works(pi: Pi, cloud: Cloud) -> None:
    pi.sh(f"echo wrong >/opt/visant/secrets/device_token; {RESTART}")
    health = "docker exec visant-connector-1 visant-connector health"
    wait_for(lambda: "degraded: cloud: 401" in pi.sh(health, check=False).out, 60, "the refusal")
    assert f"visant-cloud enrol-code --device-id {pi.device} --replace" in pi.sh(health).out
    pi.sh("visantctl enrol -", stdin=f"{cloud.enrol_code(pi.device, '--replace')}\n")
    pi.sh(RESTART)
    picture(pi, cloud)
    assert pi.sh(health).out.strip() == "healthy"


def test_a_token_that_the_services_may_not_read_is_told_with_commands_that_work(pi: Pi, cloud: Cloud) -> None:
    pi.sh(f"chown root:root /opt/visant/secrets/device_token; chmod 600 /opt/visant/secrets/device_token; {RESTART}")
    remedy = "sudo chgrp -R 10001 secrets && sudo chmod -R u+rwX,g+rX secrets"
    wait_for(lambda: remedy in pi.sh("visantctl doctor", check=False).out, 60, "the remedy")
    pi.sh(f"cd /opt/visant; {remedy}; {RESTART}")
    picture(pi, cloud)
    assert level(pi, "files") == "PASS"
