"""A golden image and its copies: a device becomes an image, the image becomes two devices, and none is another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import NewPi
from tests.pi_host.pi import KIT, LABEL, Pi
from tests.pi_host.release import TREE, docker
from tests.pi_host.wait import wait_for
from tests.pi_host.ways import install, picture

BOOT = "/boot/firmware"
WIFI = "s3cret wifi"
KEY = "tskey-auth-s3cret"
Identity = dict[str, str]
original: Identity = {}


def identity(pi: Pi) -> Identity:
    """What must differ between any two devices."""
    out = pi.sh(
        """
        echo "id=$(sed -n 's/^DEVICE_ID=//p' /opt/visant/.env.device)"
        echo "token=$(cat /opt/visant/secrets/device_token)"
        echo "machine=$(cat /etc/machine-id)"
        echo "ssh=$(awk '{print $2}' /etc/ssh/ssh_host_ed25519_key.pub)"
        echo "hotspot=$(sed -n 's/^ap_name: //p' /etc/comitup.conf)"
        echo "password=$(sed -n 's/^ap_password: //p' /etc/comitup.conf)"
        echo "host=$(cat /etc/hostname)"
        echo "tailnet=$(visantctl remote status | cut -d' ' -f2)"
        """
    ).out
    return dict(line.split("=", 1) for line in out.strip().splitlines())


@pytest.fixture(scope="module")
def golden(new_pi: NewPi) -> Pi:
    """A device with all that could be copied by mistake. Tailscale is a stand-in: there is no tailnet here."""
    pi = new_pi("GOLDEN", engine=True)
    pi.put(TREE / "tests/support/tailscale-stand-in", "/usr/local/bin/tailscale")
    return pi


def copy(golden: Pi, device: str, made: list[Pi]) -> Pi:
    """A card with the same content in another Pi, not started yet."""
    image = f"visant-lab/pi-host-copy:{golden.run}"
    if not docker("images", "--quiet", image):
        docker("commit", "--change", f"LABEL {LABEL}={golden.run}", golden.name, image)
    pi = Pi(f"{golden.network}-{device.lower()}", golden.network, golden.run, device, image)
    made.append(pi)
    # /var/lib/docker is a volume of each host's own here; on a card it is copied with the rest.
    docker(
        "run", "--rm", "--network=none", f"--volume={golden.name}-docker:/from:ro", f"--volume={pi.name}-docker:/to",
        golden.image, "cp", "-a", "/from/.", "/to/",
    )  # fmt: skip
    return pi


@pytest.fixture(scope="module")
def copies(golden: Pi) -> Iterator[list[Pi]]:
    made: list[Pi] = []
    yield made
    for pi in made:
        pi.remove()
    docker("rmi", f"visant-lab/pi-host-copy:{golden.run}", check=False)


def waiting_words(pi: Pi) -> list[str]:
    """What the first boot has said so far."""
    return pi.sh("journalctl -u visant-firstboot --no-pager -o cat | grep 'no device yet' || true").out.splitlines()


def test_the_installer_sets_up_the_hotspot_and_remote_access(golden: Pi, cloud: Cloud) -> None:
    golden.write(f"{KIT}/key", KEY, mode="600")
    out = install(golden, cloud, f"--camera fake --hotspot-open --tailscale-key {KIT}/key")
    assert "joined as visant-golden; takes and offers no routes" in out
    assert "open, http://10.41.0.1" in out
    assert "no WiFi radio" in out
    assert KEY not in out
    golden.sh(f"rm {KIT}/key; visantctl hotspot setup --new")
    assert golden.sh("stat -c %a /etc/comitup.conf").out.strip() == "600"
    assert golden.sh(
        "systemctl is-active comitup comitup-web; systemctl is-enabled comitup", check=False
    ).out.split() == [
        "inactive",
        "inactive",
        "disabled",
    ]
    golden.sh("ssh-keygen -A; visantctl remote status")
    golden.sh("/opt/visant/current/deployment/addwifi.sh Hall", stdin=f"{WIFI}\n")
    golden.sh("systemctl enable comitup")  # as on a Pi, which has a radio
    picture(golden, cloud)
    original.update(identity(golden))
    assert all(original.values()), original


def test_an_image_is_refused_while_pictures_wait(golden: Pi) -> None:
    spool = golden.sh("docker volume inspect --format '{{.Mountpoint}}' visant_spool").out.strip()
    golden.sh(f"touch {spool}/outbox/x.picture")
    refused = golden.sh("visantctl prepare-clone --yes", check=False)
    assert refused.code == 1
    assert "1 pictures are not delivered yet" in refused.out
    golden.sh(f"rm {spool}/outbox/x.picture")
    assert golden.sh("systemctl is-active visant-device-v2").out.strip() == "active"


def test_nothing_of_the_original_is_left_in_the_image(golden: Pi) -> None:
    print(golden.sh("/opt/visant/current/deployment/prepare_for_clone.sh --yes").out)
    golden.sh("visantctl prepare-clone --yes")  # again: changes nothing, fails nothing
    golden.sh("rm -rf /root/visant")
    secrets = [WIFI, KEY, *(original[one] for one in ("token", "machine", "ssh", "hotspot", "password"))]
    for secret in secrets:
        golden.sh("cat >/run/secret; truncate -s -1 /run/secret", stdin=f"{secret}\n")
        found = golden.sh(
            "grep -rlF --exclude-dir=overlay2 -f /run/secret /etc /opt /var /root /boot /home || true"
        ).out
        assert found == "", (secret, found)
    golden.sh("rm /run/secret")
    left = golden.sh(
        "ls /etc/ssh/ssh_host_* /etc/NetworkManager/system-connections/* /var/lib/tailscale/* /opt/visant/secrets/* "
        "/opt/visant/debug_captures/* /var/lib/docker/volumes/*/_data/* /var/log/visant-* 2>/dev/null || true"
    ).out
    assert left == ""
    assert golden.sh("sed -n 's/^DEVICE_ID=//p; s/^DEVICE_TOKEN=//p' /opt/visant/.env.device").out.split() == []
    assert golden.sh("stat -c %s /etc/machine-id").out.strip() == "0"
    enabled = golden.sh(
        "systemctl is-enabled visant-device-v2 visant-update.timer comitup visant-firstboot", check=False
    ).out.split()
    assert enabled == ["disabled", "disabled", "disabled", "enabled"]


def test_a_copy_without_its_file_says_what_is_missing_and_waits(golden: Pi, copies: list[Pi]) -> None:
    golden.sh("sudo poweroff")
    wait_for(lambda: docker("inspect", "--format", "{{.State.Running}}", golden.name) == "false", 120, "its end")
    pi = copy(golden, "CAM-A", copies)
    pi.create()
    wait_for(lambda: waiting_words(pi), 60, "a word about the missing file")
    [said] = waiting_words(pi)
    assert "/boot/firmware/visant.env is missing" in said
    assert pi.sh("systemctl is-active visant-device-v2 ssh", check=False).out.split() == ["inactive", "active"]


def test_a_bad_file_gets_one_line_and_the_next_one_is_taken(copies: list[Pi], cloud: Cloud) -> None:
    pi = copies[0]
    pi.write(f"{BOOT}/visant.env", "DEVICE_ID=CAM A\n")
    wait_for(lambda: len(waiting_words(pi)) > 1, 30, "a word about the bad file")
    assert "DEVICE_ID='CAM A' must be 1 to 64" in waiting_words(pi)[1]
    token = cloud.run("create-device", pi.device).splitlines()[-1]
    pi.write(f"{BOOT}/visant.env", f"DEVICE_ID={pi.device}\nDEVICE_TOKEN={token}\nTAILSCALE_AUTHKEY={KEY}\n")
    picture(pi, cloud, 180)
    wait_for(lambda: "this card is CAM-A now" in pi.sh("journalctl -u visant-firstboot -o cat").out, 60, "the end")
    assert len(waiting_words(pi)) == 2


def test_a_copy_with_the_file_of_a_list_becomes_its_device_without_anybody(
    golden: Pi, copies: list[Pi], cloud: Cloud, tmp_path: Path
) -> None:
    code = cloud.enrol_code("CAM-B")
    header = "\ufeffid;enrol_code;wifi_ssid;wifi_password;tailscale_authkey"  # as a spreadsheet on Windows writes it
    (tmp_path / "list.csv").write_text(f"{header}\r\nCAM-B;{code};Hall;{WIFI};{KEY}\r\n", newline="")
    visantctl = [sys.executable, str(TREE / "deployment/bin/visantctl")]
    subprocess.run([*visantctl, "prepare-clone", "--ids", "list.csv"], cwd=tmp_path, check=True, timeout=60)
    card = (tmp_path / "cards/CAM-B/visant.env").read_bytes().decode()
    pi = copy(golden, "CAM-B", copies)
    pi.create({f"{BOOT}/visant.env": card})
    picture(pi, cloud, 180)
    assert pi.sh("nmcli -s -g 802-11-wireless-security.psk connection show Hall").out.strip() == WIFI
    assert f"HOTSPOT_SSID={identity(pi)['hotspot']}" in card


def test_no_two_of_them_share_anything(copies: list[Pi]) -> None:
    everybody = [original, *(identity(pi) for pi in copies)]
    for key in original:
        values = [one[key] for one in everybody]
        assert all(values), (key, everybody)
        assert len(set(values)) == len(everybody), (key, values)
    for pi in copies:
        assert pi.sh(f"ls {BOOT}").out == ""
        said = pi.sh("journalctl --no-pager; cat /var/log/visant-update.log").out
        for secret in (KEY, WIFI, identity(pi)["token"], identity(pi)["password"]):
            assert secret not in said


def test_the_original_s_token_is_ended(cloud: Cloud) -> None:
    assert cloud.status_for("GOLDEN", original["token"]) not in (401, 403)
    cloud.run("revoke-device", "GOLDEN")
    assert cloud.status_for("GOLDEN", original["token"]) in (401, 403)


def test_a_copy_stays_who_it_is_through_a_power_cut(copies: list[Pi], cloud: Cloud) -> None:
    pi = copies[0]
    before = identity(pi)
    pi.power_cut()
    pi.power_on()
    picture(pi, cloud, 120)
    assert identity(pi) == before
    assert pi.sh("systemctl is-enabled visant-firstboot", check=False).out.strip() == "disabled"
