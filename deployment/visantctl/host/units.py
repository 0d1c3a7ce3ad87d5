"""systemd's files and the others outside /opt/visant follow the release; drop-ins beside them are the site's own."""

from __future__ import annotations

import os
from pathlib import Path

from visantctl.host import durable
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.systemd import systemctl

DEVICE, UPDATE, TIMER = "visant-device-v2.service", "visant-update.service", "visant-update.timer"
DISABLED = "visant-disabled.service"
ASKED, HEED = "visant-update-request.path", "visant-update-request.service"
INSTALLED = (DEVICE, UPDATE, TIMER, "visant-clock.service", "visant-clock.timer", DISABLED, ASKED, HEED)
NAMES = (*INSTALLED, "visant-firstboot.service")
"""The last is put in place by prepare-clone."""
STARTED = (DEVICE, TIMER, "visant-clock.timer", ASKED)
"""What is enabled and started; the others are started by these."""
ADDED = (DISABLED, ASKED, HEED)
"""What older releases lack: comes with an update."""


def refresh(place: Place, version: str, log: Log) -> None:
    """Replace those units that are installed and differ, and add ADDED, unless masked; the others are added by the
    installer."""
    if not (place.units / DEVICE).is_file():
        return
    changed, added = [], []
    for name in NAMES:
        installed, offered = place.units / name, place.release(version) / "deployment/systemd" / name
        new = name in ADDED and not os.path.lexists(installed)
        if not offered.is_file() or not (
            new or (installed.is_file() and installed.read_bytes() != offered.read_bytes())
        ):
            continue
        try:
            _remember(place, installed)
            durable.write_file(installed, offered.read_bytes())
        except OSError as error:
            log.warning(f"{installed} was not replaced: {error.strerror}")
            continue
        changed.append(name)
        if new:
            added.append(name)
    if changed:
        log.info(f"replaced {', '.join(changed)}")
        _known(added)


def install(place: Place, version: str) -> list[Path]:
    """Put all of them in place; returns those that were new or different. Remembered for uninstall.sh, each before it
    is written. `deployment` below the root is the old name of the scripts' folder.
    """
    changed, added = [], []
    for path, source, mode in _wanted(place, version):
        if not source.is_file():  # a release from before this unit
            continue
        content = source.read_bytes()
        if path.is_file() and path.read_bytes() == content:
            continue
        if not path.exists():
            added.append(path.name)
        _remember(place, path)
        durable.write_file(path, content, mode=mode)
        path.chmod(mode)
        changed.append(path)
    link = place.root / "deployment"
    if not link.exists() and not link.is_symlink():
        _remember(place, link)
        durable.point(link, "current/deployment")
        changed.append(link)
    if changed:
        _known(added)
    return changed


def _known(added: list[str]) -> None:
    """systemd reads them; what is new of them is enabled."""
    systemctl("daemon-reload")
    if DISABLED in added:
        systemctl("enable", "--quiet", DISABLED)
    if ASKED in added:
        systemctl("enable", "--quiet", "--now", ASKED)


def differing(place: Place, version: str) -> list[Path]:
    """Those of them that are gone or not as the release has them. A masked unit (a link) is somebody's will."""
    return [
        path
        for path, source, _ in _wanted(place, version)
        if source.is_file()
        and not path.is_symlink()
        and not (path.is_file() and path.read_bytes() == source.read_bytes())
    ]


def _wanted(place: Place, version: str) -> list[tuple[Path, Path, int]]:
    """(where, what, mode)."""
    offered = place.release(version) / "deployment"
    return [
        *((place.units / name, offered / "systemd" / name, 0o644) for name in INSTALLED),
        (place.outside("etc/logrotate.d/visant-update"), offered / "systemd/visant-update.logrotate", 0o644),
        (place.outside("usr/local/bin/visantctl"), offered / "bin/visantctl-launcher", 0o755),
    ]


def _remember(place: Place, path: Path) -> None:
    """A line for uninstall.sh (install/memory.sh reads them), unless the file was there before us."""
    memory = place.state / "install/added"
    line = f"file {path}"
    lines = memory.read_text().splitlines() if memory.is_file() else []
    if path.exists() or line in lines:
        return
    memory.parent.mkdir(parents=True, exist_ok=True)
    with memory.open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())
