"""Comitup on this host: its file, its portal's door, and whether it runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from visantctl.errors import Problem
from visantctl.host import durable
from visantctl.network import hotspot

CONF = Path("/etc/comitup.conf")
DROP_IN = Path("/etc/systemd/system/comitup-web.service.d/visant.conf")
_DOOR = """# The portal answers on the hotspot only: Comitup opens it on every network of this device.
[Service]
IPAddressDeny=any
IPAddressAllow=127.0.0.0/8 10.41.0.0/24
"""


def has_radio(net: Path = Path("/sys/class/net")) -> bool:
    """Whether there is a WiFi interface; without one Comitup ends and is restarted for ever."""
    return any(net.glob("*/phy80211"))


def is_installed() -> bool:
    """Whether systemd knows Comitup."""
    return subprocess.run(["systemctl", "cat", "comitup.service"], capture_output=True, check=False).returncode == 0


def write(wanted: hotspot.Hotspot, conf: Path = CONF, drop_in: Path = DROP_IN) -> bool:
    """Write name and password, before or after Comitup is installed; True when something changed."""
    before = conf.read_text(encoding="utf-8", errors="replace") if conf.is_file() else ""
    after = hotspot.configured(before, wanted)
    changed = after != before
    if changed:
        durable.write_file(conf, after.encode(), mode=0o600)
    conf.chmod(0o600)
    if not drop_in.is_file() or drop_in.read_text() != _DOOR:
        durable.write_file(drop_in, _DOOR.encode())
        changed = True
    return changed


def setup(wanted: hotspot.Hotspot) -> str:
    """Write, and start where that is possible; one line that says how it stands."""
    changed = write(wanted)
    if not is_installed():
        return "Comitup is not installed: sudo apt-get install comitup, then this command again"
    _systemctl("daemon-reload")
    if not has_radio():
        stop()
        return "this host has no WiFi radio: Comitup is set up and stays off"
    _systemctl("enable", "comitup.service")
    # A running Comitup reads its file at the start only. Restarted, it leaves the connection as it is.
    _systemctl("restart" if changed else "start", "comitup.service")
    return "Comitup runs: the hotspot is there whenever no known network is"


def stop() -> None:
    """Off, now and at the next boot."""
    if not is_installed():
        raise Problem("Comitup is not installed: there is no hotspot")
    _systemctl("disable", "--now", "comitup.service")
    _systemctl("stop", "comitup-web.service")
    # It may have failed for want of a radio; where it has not, systemd refuses.
    subprocess.run(["systemctl", "reset-failed", "comitup.service"], capture_output=True, check=False, timeout=30)


def _systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", "--quiet", *words], capture_output=True, text=True, check=False, timeout=90)
    if done.returncode:
        raise Problem(f"systemctl {' '.join(words)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
