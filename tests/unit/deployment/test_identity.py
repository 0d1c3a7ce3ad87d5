"""What a copy must not have of its original."""

from __future__ import annotations

from pathlib import Path

import pytest
from visantctl.fleet import identity

PROFILES = "etc/NetworkManager/system-connections"
OURS = {
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/ssh/ssh_host_ed25519_key": "private",
    "etc/ssh/ssh_host_ed25519_key.pub": "public",
    "etc/hostname": "visant-floor1\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\tvisant-floor1\n",
    f"{PROFILES}/Hall.nmconnection": "[connection]\nid=Hall\ntype=wifi\n[wifi-security]\npsk=s3cret\n",
    "etc/netplan/90-NM-x.yaml": "network:\n  wifis:\n    wlan0: {access-points: {Hall: {password: s3cret}}}\n",
    "boot/firmware/network-config": "version: 2\nwifis:\n  wlan0: {}\n",
    "boot/firmware/wpa_supplicant.conf": "psk=s3cret",
    "boot/firmware/visant.env": "DEVICE_ID=FLOOR1\n",
    "var/lib/NetworkManager/secret_key": "key",
    "var/lib/tailscale/tailscaled.state": "{}",
    "var/lib/comitup/comitup.json": "{}",
    "var/log/journal/0123/system.journal": "entries",
    "var/log/visant-install.log": "lines",
    "root/.bash_history": "addwifi.sh Hall s3cret",
    "home/pi/.bash_history": "addwifi.sh Hall s3cret",
}
KEPT = {
    f"{PROFILES}/eth.nmconnection": "[connection]\nid=eth\ntype=ethernet\n[ipv4]\nmethod=auto\n",
    "etc/netplan/01-eth.yaml": "network:\n  ethernets: {}\n",
    "boot/firmware/config.txt": "arm_64bit=1\n",
    "home/pi/.ssh/authorized_keys": "ssh-ed25519 AAAA fleet\n",
    "etc/ssh/sshd_config": "Port 22\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {**OURS, **KEPT}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_nothing_of_the_original_is_left_and_the_rest_stays(root: Path) -> None:
    assert identity.remove(root) == []
    left = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    assert left == {
        **KEPT,
        "etc/machine-id": "",
        "etc/hostname": "visant-unnamed\n",
        "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\tvisant-unnamed\n",
    }


def test_a_second_time_does_nothing_and_an_empty_host_is_none(root: Path, tmp_path: Path) -> None:
    identity.remove(root)
    before = {path: path.stat().st_size for path in root.rglob("*")}
    assert identity.remove(root) == []
    assert {path: path.stat().st_size for path in root.rglob("*")} == before
    bare = tmp_path / "bare"
    (bare / "etc").mkdir(parents=True)
    assert identity.remove(bare) == []


def test_a_fixed_address_is_named_because_every_copy_would_have_it(root: Path) -> None:
    file = root / "etc/NetworkManager/system-connections/plant.nmconnection"
    file.write_text("[connection]\nid=plant\ntype=ethernet\n[ipv4]\naddress1=10.0.0.5/24\nmethod=manual\n")
    [note] = identity.remove(root)
    assert "plant.nmconnection" in note
    assert file.exists()


def test_a_host_keeps_its_other_names(root: Path) -> None:
    (root / "etc/hosts").write_text("127.0.1.1 visant-floor1 gate\n192.168.1.2 visant-floor1-old\n")
    identity.rename(root, "visant-b")
    assert (root / "etc/hosts").read_text() == "127.0.1.1 visant-b gate\n192.168.1.2 visant-floor1-old\n"
    identity.rename(root, "visant-b")
    assert (root / "etc/hosts").read_text().count("visant-b ") == 1
