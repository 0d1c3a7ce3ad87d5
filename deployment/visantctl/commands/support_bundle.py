"""`visantctl support-bundle`: one file with all that helps to find a fault, without tokens, passwords and pictures."""

from __future__ import annotations

import argparse
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from visantctl.doctor.checkup import checkup
from visantctl.errors import Problem
from visantctl.host.env_file import read_env_file, secrets_of
from visantctl.host.programs import ask
from visantctl.host.redact import redact
from visantctl.service.status import status
from visantctl.wiring import Device

HELP = "one file with all that helps to find a fault, without tokens, passwords and pictures"
_ASKED = {
    "journal.txt": ("journalctl", "-u", "visant-device-v2", "-u", "visant-update", "-n", "8000", "--no-pager"),
    "kernel.txt": ("journalctl", "-k", "-n", "500", "--no-pager"),
    "docker.txt": ("docker", "ps", "--all"),
    "disk.txt": ("df", "-h"),
    "memory.txt": ("free", "-m"),
    "addresses.txt": ("ip", "address"),
    "routes.txt": ("ip", "route"),
    "networks.txt": ("nmcli", "-f", "NAME,TYPE,DEVICE,STATE", "connection", "show"),
    "clock.txt": ("timedatectl",),
    "usb.txt": ("lsusb",),
    "system.txt": ("uname", "-a"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: visant-support-<id>-<time>.tar.gz here")


def main(options: argparse.Namespace) -> int:
    """0 once the file is written; what could not be had says so inside."""
    device = Device.here()
    values = read_env_file(device.place.env_file)
    known = secrets_of(values)
    token = device.place.root / "secrets/device_token"
    if token.is_file():
        known.add(token.read_text().strip())
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    out: Path = options.out or Path(f"visant-support-{values.get('DEVICE_ID') or 'device'}-{stamp}.tar.gz")
    with tarfile.open(out, "w:gz") as tar:
        os.chmod(out, 0o600)
        for name, text in _texts(device).items():
            content = redact(text, known).encode()
            entry = tarfile.TarInfo(f"visant-support/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
            tar.addfile(entry, io.BytesIO(content))
    size = out.stat().st_size / 1000
    print(f"{out}: {size:.0f} kB, without tokens, passwords and pictures; have a look before you send it")
    return 0


def _texts(device: Device) -> dict[str, str]:
    texts = {name: ask(*command, timeout=30) or f"{command[0]} gave no answer" for name, command in _ASKED.items()}
    made: dict[str, Callable[[], str]] = {
        "settings.txt": lambda: device.place.env_file.read_text(errors="replace"),
        "update.log": lambda: device.place.log.read_text(errors="replace")[-200_000:],
        "status.json": lambda: json.dumps(status(device), indent=2),
        "history.json": lambda: json.dumps(device.ledger.history(), indent=2),
        "services.log": lambda: device.stack(device.ledger.good or "").last_words(2000),
        "doctor.txt": lambda: "\n".join(one.as_text() for one in checkup(device)),
    }
    for name, make in made.items():
        try:
            texts[name] = make()
        except (Problem, OSError) as error:
            texts[name] = f"could not be had: {error}"
    return texts
