"""Where the cloud's requests to the updater arrive on this host, and that systemd looks there."""

from __future__ import annotations

import contextlib
from pathlib import Path

from visantctl.errors import Problem
from visantctl.host import durable, units
from visantctl.host.env_file import read_env_file
from visantctl.host.systemd import systemctl
from visantctl.updates.asked import FILE
from visantctl.wiring import Device

_USUAL = Path("/var/lib/docker/volumes/visant_spool/_data")
"""As deployment/systemd/visant-update-request.path has it."""


def request_file(device: Device) -> Path:
    """In the spool's folder: the volume's, or the one that VISANT_SPOOL names."""
    named = read_env_file(device.place.env_file).get("VISANT_SPOOL") or "spool"
    if named.startswith(("/", ".")):
        return device.place.root / named / FILE
    volume = f"{device.settings.project}_{named}"
    return Path(device.engine.run("volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip()) / FILE


def listen(device: Device) -> None:
    """Have systemd look where they arrive. What fails is told: pictures go on without."""
    drop_in = device.place.units / f"{units.ASKED}.d/visant-spool.conf"
    try:
        if not (device.place.units / units.ASKED).is_file():  # nor installed, or masked
            return
        file = request_file(device)
        wanted = "" if file.parent == _USUAL else f"[Path]\nPathExists=\nPathExists={str(file).replace('%', '%%')}\n"
        if wanted == (drop_in.read_text() if drop_in.is_file() else ""):
            return
        if wanted:
            durable.write_file(drop_in, wanted.encode())
        else:
            durable.remove_file(drop_in)
            with contextlib.suppress(OSError):
                drop_in.parent.rmdir()
        systemctl("daemon-reload")
        systemctl("try-restart", units.ASKED)
    except (Problem, OSError) as error:
        device.log.warning(f"the cloud cannot ask anything of the updater: {error}")
