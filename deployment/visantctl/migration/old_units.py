"""The units of the git-based version, as they are on this host, and their settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visantctl.host.env_file import read_env_file
from visantctl.host.programs import ask

NAMES = ("visant-device.service", "visant-device-v2.service", "visant-update.service", "visant-update.timer")
SERVICES = NAMES[:2]
_OURS = "/usr/local/bin/visantctl"
_OF_FLAG = {
    "--api-url": "API_URL",
    "--device-id": "DEVICE_ID",
    "--camera-source": "CAMERA_SOURCE",
    "--camera-warmup": "CAMERA_WARMUP",
    "--camera-resolution": "CAMERA_RESOLUTION",
    "--api-timeout": "UPLOAD_TIMEOUT",
    "--upload-timeout": "UPLOAD_TIMEOUT",
    "--stream-timeout": "STREAM_TIMEOUT",
    "--reconnect-delay": "RECONNECT_DELAY",
    "--save-frames-dir": "SAVE_FRAMES_DIR",
}
_RENAMED = {"API_TIMEOUT": "UPLOAD_TIMEOUT"}
CARRIED = (*dict.fromkeys(_OF_FLAG.values()), "DEVICE_TOKEN", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""Settings that mean the same here."""
DROPPED = ("API_TIMEOUT", "CONFIG_POLL_INTERVAL", "CAMERA_BACKEND", "ENABLE_TIMING_DEBUG")
"""Settings of the old version without a meaning here, or under another name."""
_CAPTURES = "/opt/visant/debug_captures"
"""Where compose.yaml shows the services the folder VISANT_DEBUG_CAPTURES."""


@dataclass(frozen=True)
class OldUnit:
    """One unit file and how systemd had it."""

    name: str
    enabled: bool
    active: bool


def find(units: Path) -> list[OldUnit]:
    """Those that are not this project's own; empty unless one of the two services is among them."""
    found = [name for name in NAMES if is_old(units / name)]
    if not set(found) & set(SERVICES):
        return []
    return [
        OldUnit(
            name,
            enabled=ask("systemctl", "is-enabled", name) == "enabled",
            active=ask("systemctl", "is-active", name) in ("active", "activating", "reloading"),
        )
        for name in found
    ]


def is_old(unit: Path) -> bool:
    """True for a unit file that is there and not this project's."""
    try:
        text = unit.read_text(errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return False
    if unit.suffix in (".timer", ".path"):  # they say nothing of whose they are: the service beside them decides
        return is_old(unit.with_suffix(".service"))
    return _OURS not in text


def settings(unit_text: str, captures: Path) -> dict[str, str]:
    """What the service of this unit file runs with, by the names used here; `captures`: the usual folder of frames.

    Its environment files first, then `Environment=`, then flags of its command line, as it would see them itself.
    """
    known: dict[str, str] = {}
    folder = "/"
    for key, value in _lines(unit_text):
        if key == "WorkingDirectory":
            folder = value
        elif key == "EnvironmentFile":
            known = {**read_env_file(Path(value.removeprefix("-"))), **known}
    for key, value in _lines(unit_text):
        if key == "Environment":
            for name, sign, text in (word.partition("=") for word in _words(value)):
                known.update({name: text} if sign else {})
    known = {**{new: known[old] for old, new in _RENAMED.items() if old in known}, **known}
    for key, value in _lines(unit_text):
        if key == "ExecStart":
            known.update(_flags(value, known))
    carried = {key: known[key] for key in CARRIED if known.get(key)}
    if frames := carried.get("SAVE_FRAMES_DIR"):
        carried.update(_frames(Path(folder, frames), captures))
    return carried


def _frames(folder: Path, captures: Path) -> dict[str, str]:
    """The services see one folder of the host for saved frames, under the usual name."""
    return {"SAVE_FRAMES_DIR": _CAPTURES} | ({} if folder == captures else {"VISANT_DEBUG_CAPTURES": str(folder)})


def _lines(unit_text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\s*\n\s*", " ", unit_text)
    pairs = (line.partition("=") for line in joined.splitlines() if not line.lstrip().startswith(("#", ";")))
    return [(key.strip(), value.strip()) for key, sign, value in pairs if sign]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote: as good as it gets
        return text.split()


def _flags(command: str, known: Mapping[str, str]) -> dict[str, str]:
    words, found = _words(command), {}
    for place, word in enumerate(words):
        flag, sign, value = word.partition("=")
        if flag not in _OF_FLAG:
            continue
        value = value if sign else words[place + 1] if place + 1 < len(words) else ""
        value = re.sub(r"\$\{?(\w+)\}?", lambda name: known.get(name.group(1), ""), value)
        if value and not value.startswith("--"):
            found[_OF_FLAG[flag]] = value
    return found
