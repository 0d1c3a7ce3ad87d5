"""What makes one host different from its copy, in the host's own files, and taking it away.

The running system keeps what it has in memory (its network stays up); the next boot finds a host without a past.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

UNNAMED = "visant-unnamed"
"""Host name of a copy that does not know yet who it is."""
_EMPTIED = (
    "var/lib/NetworkManager",  # leases, seen networks, and the key that its addresses are made of
    "var/lib/comitup",
    "var/lib/tailscale",
    "var/lib/dhcp",
    "var/log/journal",
)
_REMOVED = (
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/timesync/clock",
    "var/lib/docker/engine-id",
    "etc/docker/key.json",
    "etc/wpa_supplicant/wpa_supplicant*.conf",
    "root/.*_history",
    "home/*/.*_history",
    "root/visant-support-*.tar.gz",
    "home/*/visant-support-*.tar.gz",
    "var/log/visant-*.log*",
    "var/log/comitup*.log*",
    "boot/wpa_supplicant.conf",
    "boot/firmware/wpa_supplicant.conf",
    "boot/visant.env",
    "boot/firmware/visant.env",
)
_PROFILES = "etc/NetworkManager/system-connections"
_NETPLANS = ("etc/netplan/*.yaml", "boot/firmware/network-config", "boot/network-config")


def remove(root: Path) -> list[str]:
    """Take the identity out of the files under `root`; returns what somebody should know. Again: does nothing."""
    for name in _EMPTIED:
        _empty(root / name)
    for pattern in _REMOVED:
        for path in root.glob(pattern):
            path.unlink()
    for path in wifi_profiles(root):
        path.unlink()
    # Empty, not absent: systemd makes a new one at the next boot (machine-id(5)).
    machine_id = root / "etc/machine-id"
    if machine_id.exists():
        machine_id.write_text("")
    rename(root, UNNAMED)
    return [
        f"the network profile {path.name} has a fixed address, which every copy would have: "
        f"delete {path} where that is not meant"
        for path in _profiles(root)
        if re.search(r"^(address1?|addresses)\s*=", _text(path), re.MULTILINE)
    ]


def wifi_profiles(root: Path) -> list[Path]:
    """Files with WiFi networks and their passwords, whoever wrote them."""
    found = [path for path in _profiles(root) if re.search(r"^type\s*=\s*(wifi|802-11-wireless)", _text(path), re.M)]
    for pattern in _NETPLANS:
        found += [path for path in root.glob(pattern) if re.search(r"^\s*wifis\s*:", _text(path), re.MULTILINE)]
    return found


def rename(root: Path, name: str) -> None:
    """Give the host a name, in place: both files are bind mounts in some systems."""
    before = _text(root / "etc/hostname").strip()
    (root / "etc/hostname").write_text(f"{name}\n")
    hosts = root / "etc/hosts"
    text = _text(hosts)
    if before and before not in ("localhost", name):
        text = re.sub(rf"(?m)^(127\.0\.1\.1\s.*?)(?<!\S){re.escape(before)}(?!\S)", rf"\g<1>{name}", text)
    if not re.search(rf"(?m)^127\.0\.1\.1\s(.*\s)?{re.escape(name)}(\s|$)", text):
        text = f"{text.rstrip()}\n127.0.1.1\t{name}\n".lstrip()
    hosts.write_text(text)


def _profiles(root: Path) -> Iterator[Path]:
    folder = root / _PROFILES
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.is_file())


def _empty(folder: Path) -> None:
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):  # its owner was faster
                path.unlink()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
