"""Comitup on this host: its file, its portal's door, and whether it runs."""

from __future__ import annotations

from pathlib import Path

from visantctl.errors import Problem
from visantctl.host import durable
from visantctl.host.programs import ask
from visantctl.host.systemd import must
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
    return ask("systemctl", "cat", "comitup.service") is not None


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
    must("--quiet", "daemon-reload")
    if not has_radio():
        stop()
        return "this host has no WiFi radio: Comitup is set up and stays off"
    must("--quiet", "enable", "comitup.service")
    # A running Comitup reads its file at the start only. Restarted, it leaves the connection as it is.
    must("--quiet", "restart" if changed else "start", "comitup.service")
    return "Comitup runs: the hotspot is there whenever no known network is"


def stop() -> None:
    """Off, now and at the next boot."""
    if not is_installed():
        raise Problem("Comitup is not installed: there is no hotspot")
    must("--quiet", "disable", "--now", "comitup.service")
    must("--quiet", "stop", "comitup-web.service")
    # It may have failed for want of a radio; where it has not, systemd refuses.
    ask("systemctl", "reset-failed", "comitup.service")
