"""The Docker Engine takes the site's proxy and authorities from `.env.device` too: it is who pulls the images.

A drop-in of docker.service names a file that root alone reads (a proxy's address may hold a password, and systemd
shows everybody what a unit says itself). Go adds SSL_CERT_FILE to what lies in /etc/ssl/certs.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from visantctl.host import durable
from visantctl.host.env_file import UPLINK_KEYS
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.host.systemd import must, systemctl


def environment(given: Mapping[str, str] | None) -> str:
    """Content of the file, in the format of systemd.exec(5), EnvironmentFile=; empty where there is nothing to say."""
    values = {key: value for key in UPLINK_KEYS if (value := (given or {}).get(key))}
    if file := values.get("SSL_CERT_FILE"):
        # The Engine reads authorities once: another content under the same name must change this file.
        values["VISANT_CA_SHA256"] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return "".join(f'{key}="{_escaped(value)}"\n' for key, value in values.items())


def files(place: Place) -> tuple[Path, Path]:
    """(drop-in, environment)."""
    return place.units / "docker.service.d/visant-uplink.conf", place.state / "engine.env"


def wanted_environment(place: Place) -> str:
    """By `.env.device` alone: what the caller's shell happens to have set must not stay in the Engine."""
    return environment(Settings.load(place.env_file, {}).proxies)


def apply(place: Place, log: Log) -> bool:
    """Write or remove both files; restart the Engine where that changed something. True when it did."""
    drop_in, file = files(place)
    text = wanted_environment(place)
    # `-`: an Engine must start also where the file is gone.
    wanted = {drop_in: f"[Service]\nEnvironmentFile=-{file}\n" if text else "", file: text}
    changed = False
    for path, content in wanted.items():
        if content == (path.read_text() if path.is_file() else ""):
            continue
        changed = True
        if content:
            durable.write_file(path, content.encode(), mode=0o600 if path == file else 0o644)
        else:
            durable.remove_file(path)
    if changed:
        log.info("the Docker Engine takes the proxy and authorities of .env.device: restarting it")
        _restart()
    return changed


def _restart() -> None:
    if not shutil.which("systemctl") or not Path("/run/systemd/system").is_dir():
        return  # no systemd here: whoever starts the Engine does it
    must("daemon-reload")
    if systemctl("is-active", "--quiet", "docker.service"):
        must("restart", "docker.service")


def _escaped(value: str) -> str:
    for character in '\\"$`':
        value = value.replace(character, f"\\{character}")
    return value
