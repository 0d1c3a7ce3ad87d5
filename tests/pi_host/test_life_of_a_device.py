"""From the first command to the uninstallation: each test begins where the last one ended."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.pi import FROM_KIT, INSTALL, KIT, Pi
from tests.pi_host.release import VERSION, Release, make_bad
from tests.pi_host.wait import wait_for
from tests.pi_host.ways import connected, install, picture

pytestmark = pytest.mark.short
found: dict[str, set[str]] = {}


def test_wrong_flags_and_missing_values_end_in_one_line_and_change_nothing(pi: Pi, cloud: Cloud) -> None:
    found["before"] = pi.files()
    for flags, word in (
        ("--no-such-flag", "--no-such-flag"),
        ("--device-id", "--device-id needs a value"),
        ("", "--api-url is needed"),
        (f"--device-id X --api-url {cloud.url} --from /no/such.tar", "/no/such.tar"),
        (f"--device-id X --api-url {cloud.url} --enrol A --token-file /etc/hostname", "give one"),
    ):
        done = pi.sh(f"{INSTALL} {flags}", check=False)
        assert done.code == 2, done
        assert word in done.out, done
        assert len(done.out.strip().splitlines()) == 1, done
    assert pi.files() == found["before"]


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(pi: Pi, cloud: Cloud) -> None:
    done = pi.sh(f"{INSTALL} --device-id {pi.device} --api-url {cloud.url} {FROM_KIT} --dry-run")
    assert "install Docker Engine" in done.out
    assert "visant-device-v2.service" in done.out
    assert "journal on the card" in done.out
    assert pi.files() == found["before"]


def test_a_fresh_host_becomes_a_device_with_one_command(pi: Pi, cloud: Cloud) -> None:
    cached = len(pi.sh("ls /var/cache/apt/archives").out.splitlines()) > 5
    began = time.monotonic()
    print(install(pi, cloud))
    installed = time.monotonic() - began
    took = picture(pi, cloud)
    packages = "from an earlier run" if cached else "downloaded"
    print(
        f"\nfirst command to first stored picture: {time.monotonic() - began:.0f} s "
        f"(installed after {installed:.0f} s, trigger to picture {took:.1f} s; packages {packages})"
    )
    assert pi.sh("stat -c %a /opt/visant/.env.device").out.strip() == "600"
    assert "DEVICE_TOKEN=\n" in pi.sh("cat /opt/visant/.env.device").out


def test_the_same_command_again_changes_nothing(pi: Pi, cloud: Cloud) -> None:
    before = pi.sh("docker ps --quiet --no-trunc | sort; cat /opt/visant/.env.device /etc/docker/daemon.json").out
    done = pi.sh(f"{INSTALL} --yes", check=False)
    assert done.code == 0, done.out
    after = pi.sh("docker ps --quiet --no-trunc | sort; cat /opt/visant/.env.device /etc/docker/daemon.json").out
    assert after == before


def test_doctor_passes_and_names_each_part(pi: Pi) -> None:
    found_by_check = pi.doctor()
    assert {"settings", "docker", "release", "units", "camera", "network", "stream", "spool", "disk"} <= set(
        found_by_check
    )
    assert not [one for one in found_by_check.values() if one["level"] == "FAIL"], found_by_check
    assert pi.sh("/opt/visant/current/deployment/verify_deployment.sh").code == 0


def test_doctor_names_what_is_wrong_and_mends_what_is_safe(pi: Pi) -> None:
    pi.sh("chmod 644 /opt/visant/.env.device; systemctl disable --now visant-update.timer")
    pi.sh("echo CAMERA_SORCE=1 >>/opt/visant/.env.device")
    seen = pi.doctor()
    assert seen["units"]["level"] == "WARN"
    assert seen["settings"]["level"] == "WARN"
    said = pi.sh("visantctl doctor")
    assert "CAMERA_SORCE is no setting" in said.out
    assert "sudo systemctl enable --now visant-update.timer" in said.out
    pi.sh("sed -i /CAMERA_SORCE/d /opt/visant/.env.device")
    mended = pi.sh("visantctl doctor --fix", check=False)
    assert mended.code == 0, mended.out
    assert pi.sh("stat -c %a /opt/visant/.env.device").out.strip() == "600"
    assert pi.sh("systemctl is-enabled visant-update.timer", check=False).out.strip() == "disabled", "somebody's will"
    pi.sh("systemctl enable visant-update.timer")
    pi.sh("visantctl doctor --fix", check=False)
    assert pi.sh("systemctl is-active visant-update.timer").out.strip() == "active"


def test_a_power_cut_ends_in_pictures_without_anybody_touching_it(pi: Pi, cloud: Cloud) -> None:
    pi.power_cut()
    began = time.monotonic()
    pi.power_on()
    picture(pi, cloud, 120)
    print(f"\npower on to a stored picture: {time.monotonic() - began:.0f} s")
    assert pi.sh("systemctl is-active visant-device-v2.service visant-update.timer").out.split() == ["active", "active"]


def test_the_services_lines_are_the_units_across_power_cuts_and_nothing_follows_them(pi: Pi) -> None:
    lines = pi.sh("journalctl -u visant-device-v2.service -t connector --no-pager --no-hostname").out.splitlines()
    confirmed = [line for line in lines if line.endswith("[INFO] ✓ Connection confirmed by server")]
    assert len(confirmed) >= 2, "one before the power cut, one after it"
    assert " connector[" in confirmed[-1]
    assert pi.sh("visantctl logs -n all connector").out.count("✓ Connection confirmed") == len(confirmed)
    assert "✓ Connection confirmed" in pi.sh("docker logs visant-connector-1").out
    assert pi.sh("pgrep -af 'docker.* logs'", check=False).out == ""


def test_without_a_camera_the_device_is_degraded_and_doctor_says_why(pi: Pi, cloud: Cloud) -> None:
    pi.sh("visantctl configure CAMERA_SOURCE=0 && systemctl restart visant-device-v2.service")
    connected(pi, cloud, 90)
    camera = wait_for(lambda: (now := pi.doctor()["camera"])["level"] == "FAIL" and now, 60, "doctor's word")
    assert "no picture" in camera["text"]
    assert camera["remedy"]
    assert pi.sh("visantctl doctor", check=False).code == 1
    assert pi.sh("docker inspect --format '{{.State.Status}} {{.RestartCount}}' visant-camera-1").out.split() == [
        "running",
        "0",
    ]
    pi.sh("visantctl configure CAMERA_SOURCE=fake && systemctl restart visant-device-v2.service")


def test_a_boot_without_network_connects_when_the_network_comes(pi: Pi, cloud: Cloud) -> None:
    pi.power_cut()
    pi.cut_network()
    pi.power_on()
    wait_for(
        lambda: pi.sh("systemctl is-active visant-device-v2.service", check=False).out.strip() == "active",
        120,
        "the service's start",
    )
    assert pi.doctor()["network"]["level"] == "FAIL"
    pi.join_network()
    picture(pi, cloud, 90)


def test_a_camera_that_comes_later_is_opened_without_a_restart(pi: Pi) -> None:
    """A node without a driver behind it: to be allowed and to find nobody (ENXIO) is what can be had here."""
    pi.sh("visantctl configure CAMERA_SOURCE=0 && systemctl restart visant-device-v2.service")
    wait_for(lambda: pi.doctor()["camera"]["level"] == "FAIL", 60, "doctor's word")
    started = pi.sh("docker inspect --format '{{.State.StartedAt}}' visant-camera-1").out
    pi.sh("mknod -m 660 /dev/video0 c 81 0; chgrp video /dev/video0; mknod -m 666 /dev/other c 1 1")
    look = "import os,sys; os.open(sys.argv[1], os.O_RDWR)"
    try:
        for node, error in (("/dev/video0", "No such device or address"), ("/dev/other", "Operation not permitted")):
            done = pi.sh(f"docker exec visant-camera-1 python3 -c '{look}' {node}", check=False)
            assert error in done.out, done.out
        assert pi.sh("docker inspect --format '{{.State.StartedAt}}' visant-camera-1").out == started
    finally:
        pi.sh("rm /dev/video0 /dev/other; visantctl configure CAMERA_SOURCE=fake")
        pi.sh("systemctl restart visant-device-v2.service")


def test_a_bad_release_is_taken_back_and_pictures_go_on(pi: Pi, cloud: Cloud, release: Release, tmp_path: Path) -> None:
    picture(pi, cloud, 90)
    version, archive = make_bad(release, tmp_path)
    pi.put(archive, "/root/bad.tar")
    done = pi.sh("visantctl update --now --from /root/bad.tar", check=False)
    assert done.code == 1, done.out
    assert f"{version} was taken back" in done.out
    status = json.loads(pi.sh("visantctl status --json", check=False).out)
    assert status["version"] == VERSION
    assert version in status["quarantined"]
    picture(pi, cloud, 90)
    again = pi.sh("visantctl update --now --from /root/bad.tar")
    assert "in quarantine here" in again.out
    pi.sh("rm /root/bad.tar")


def test_wifi_networks_are_added_changed_and_listed(pi: Pi) -> None:
    wifi = "/root/visant/deployment/addwifi.sh"
    assert pi.sh(wifi, check=False, stdin="").code == 2
    assert pi.sh(f"{wifi} Cafe short", check=False).code == 2
    pi.sh(f"{wifi} 'My: Net' --priority 50 --hidden", stdin="pass word 1\n")
    pi.sh(f"{wifi} 'My: Net'", stdin="pass word 2\n")
    fields = "802-11-wireless.hidden,802-11-wireless-security.psk,connection.autoconnect-priority"
    assert pi.sh(f"nmcli -s -g {fields} connection show 'My: Net'").out.split("\n")[:3] == ["yes", "pass word 2", "50"]
    listed = pi.sh(f"{wifi} --list").out
    assert listed.count("My: Net") == 1
    assert "pass word" not in listed
    warned = pi.sh(f"{wifi} Cafe 'pass word 3'").out
    assert "history" in warned
    assert "pass word" not in warned
    pi.sh("nmcli connection delete 'My: Net' Cafe")
    assert not pi.sh("grep -rl 'pass word' /root /etc /var/log", check=False).out


def test_the_support_bundle_holds_no_secret_and_a_snapshot_is_a_picture(pi: Pi) -> None:
    pi.sh("cd /tmp && visantctl support-bundle --out bundle.tar.gz && mkdir -p b && tar -xzf bundle.tar.gz -C b")
    assert pi.sh('! grep -rF "$(cat /opt/visant/secrets/device_token)" /tmp/b').code == 0
    assert "stream" in pi.sh("cat /tmp/b/visant-support/doctor.txt").out
    pi.sh("visantctl camera snapshot --out /tmp/x.jpg")
    assert pi.sh("head -c 2 /tmp/x.jpg | od -An -tx1").out.split() == ["ff", "d8"]
    probed = pi.sh("visantctl camera probe", check=False)
    assert probed.code == 1
    assert "no camera found" in probed.out


def test_uninstall_refuses_what_it_should_and_leaves_nothing(pi: Pi, cloud: Cloud) -> None:
    uninstall = "/opt/visant/current/deployment/uninstall.sh"
    spool = pi.sh("docker volume inspect --format '{{.Mountpoint}}' visant_spool").out.strip()
    pi.sh(f"systemctl stop visant-device-v2.service; touch {spool}/outbox/x.picture")
    refused = pi.sh(f"{uninstall} --yes", check=False)
    assert refused.code == 1
    assert "not delivered yet" in refused.out
    pi.sh(f"rm {spool}/outbox/x.picture")
    print(pi.sh(f"{uninstall} --yes").out)
    left = {one for one in pi.files() - found["before"] if not one.startswith(KIT)}
    assert not left, sorted(left)
    gone = found["before"] - pi.files()
    assert not gone, sorted(gone)
