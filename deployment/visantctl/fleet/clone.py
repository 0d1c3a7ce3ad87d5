"""This device becomes an image for many: nothing that is its own stays, and the next boot asks who it is.

The order makes a power cut harmless: the first boot is armed first, then the services are off, then the identity goes,
and only then the image counts as complete. Until then, a boot says that the work must be done again.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from visantctl.errors import Problem
from visantctl.fleet import identity
from visantctl.host import durable
from visantctl.host.env_file import read_env_file
from visantctl.host.lock import update_lock
from visantctl.host.systemd import must, systemctl
from visantctl.network import hotspot
from visantctl.releases.stack import LABEL
from visantctl.wiring import Device

FIRST_BOOT = "visant-firstboot.service"
OFF = ("visant-update.timer", "visant-update.service", "visant-device-v2.service")
BESIDE = ("comitup.service", "tailscaled.service")
"""Of other packages: off as well until the copy is somebody, then on again where they were on here."""
COMITUP = Path("etc/comitup.conf")
_KEPT_STATE = ("install", "good.json", "clone.json", "lock")


def marker(device: Device) -> Path:
    """Exists from the moment in which this device stops being itself until a first boot has finished."""
    return device.place.state / "clone.json"


def undelivered(device: Device) -> int:
    """Pictures that the cloud has no receipt for, wherever they wait."""
    return len({path.resolve() for folder in _spools(device) for path in folder.rglob("*.picture")})


def prepare(device: Device, root: Path) -> list[str]:
    """Do it; returns what somebody should know. Problem leaves the device armed: the same command goes on."""
    if not device.ledger.good:
        raise Problem("no release is installed here: an image without one is none; run install_device.sh first")
    offered = device.place.current / "deployment/systemd" / FIRST_BOOT
    if not offered.is_file():
        raise Problem(f"{offered} is missing: this release is damaged, or too old for images")
    device.place.prepare()
    with update_lock(device.place.state, "prepare-clone", patience=60.0) as lock:
        device = device.holding(lock)
        before = durable.read_json(marker(device))
        was_on = before["on"] if isinstance(before, dict) and "on" in before else _enabled()
        opened = hotspot.read(root / COMITUP)
        is_open = before.get("open", False) if isinstance(before, dict) else bool(opened and not opened.password)
        state = {"complete": False, "on": was_on, "open": is_open}
        durable.write_json(marker(device), state)
        durable.write_file(device.place.units / FIRST_BOOT, offered.read_bytes())
        systemctl("--quiet", "daemon-reload")
        must("--quiet", "enable", FIRST_BOOT)
        systemctl("--quiet", "disable", "--now", *OFF)
        for unit in was_on:
            systemctl("--quiet", "disable", "--now", unit)
        # Comitup starts its portal itself, and with it down nobody stops it.
        systemctl("--quiet", "stop", "comitup-web.service")
        _remove_data(device)
        _remove_settings(device)
        if (root / COMITUP).is_file():
            text = (root / COMITUP).read_text(encoding="utf-8", errors="replace")
            durable.write_file(root / COMITUP, hotspot.configured(text, None).encode(), mode=0o600)
        notes = identity.remove(root)
        durable.write_json(marker(device), {**state, "complete": True})
        os.sync()
    return notes


def _enabled() -> list[str]:
    return [unit for unit in BESIDE if systemctl("is-enabled", "--quiet", unit)]


def _spools(device: Device) -> list[Path]:
    """The folder that is set, the one that may have been, and the volume, which holds pictures from before a folder."""
    named = read_env_file(device.place.env_file).get("VISANT_SPOOL", "")
    folders = [device.place.root / "spool"]
    if named.startswith("/"):
        folders.append(Path(named))
        named = ""
    for name in {"spool", named or "spool"}:
        volume = f"{device.settings.project}_{name}"
        if device.engine.succeeds("volume", "inspect", volume):
            found = device.engine.run("volume", "inspect", "--format", "{{.Mountpoint}}", volume)
            folders.append(Path(found.strip()))
    return folders


def _remove_data(device: Device) -> None:
    ours = ("--filter", f"label={LABEL}.project={device.settings.project}")
    for spool in _spools(device):
        _empty(spool)
    if found := device.engine.run("ps", "--all", "--quiet", *ours).split():
        device.engine.run("rm", "--force", "--volumes", *found, timeout=180)
    for kind in ("network", "volume"):
        if found := device.engine.run(kind, "ls", "--quiet", *ours).split():
            device.engine.run(kind, "rm", *found, timeout=120)
    for folder in ("debug_captures", "spool", "shared"):
        _empty(device.place.root / folder)
    # The site's CA is no secret, and the settings name it.
    kept = Path(read_env_file(device.place.env_file).get("SSL_CERT_FILE", "")).name
    _empty(device.place.root / "secrets", kept)
    for path in device.place.state.iterdir():
        if path.name not in _KEPT_STATE:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (device.place.state / "enrolled.json").unlink(missing_ok=True)


def _remove_settings(device: Device) -> None:
    file = device.place.env_file
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    text = re.sub(r"(?m)^\s*(export\s+)?(DEVICE_ID|DEVICE_TOKEN)\s*=.*$", r"\2=", text)
    text = re.sub(r"(?m)^\s*(export\s+)?DEVICE_TOKEN_FILE\s*=.*\n?", "", text)
    durable.write_file(file, text.encode(), mode=0o600)
    for leftover in device.place.root.glob(".env.device?*"):  # an editor's copies
        leftover.unlink()


def _empty(folder: Path, kept: str = "") -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name == kept:
                continue
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
