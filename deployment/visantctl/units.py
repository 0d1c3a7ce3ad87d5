"""systemd's files follow the release that is kept; drop-ins beside them are the site's own and stay."""

from __future__ import annotations

import shutil
import subprocess

from visantctl import durable
from visantctl.log import Log
from visantctl.place import Place

NAMES = (
    "visant-device-v2.service",
    "visant-update.service",
    "visant-update.timer",
    "visant-clock.service",
    "visant-clock.timer",
    "visant-firstboot.service",
)


def refresh(place: Place, version: str, log: Log) -> None:
    """Replace those units that are installed and differ; the installer is who adds them first."""
    changed = []
    for name in NAMES:
        installed, offered = place.units / name, place.release(version) / "deployment/systemd" / name
        if installed.is_file() and offered.is_file() and installed.read_bytes() != offered.read_bytes():
            try:
                durable.write_file(installed, offered.read_bytes())
            except OSError as error:
                log.warning(f"{installed} was not replaced: {error.strerror}")
                continue
            changed.append(name)
    if changed:
        log.info(f"replaced {', '.join(changed)}")
        if shutil.which("systemctl"):
            subprocess.run(["systemctl", "daemon-reload"], check=False, timeout=60)
