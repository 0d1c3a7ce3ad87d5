"""The system's journal: whether it outlives a power cut, and what it may take of the card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.programs import ask
from visantctl.wiring import Device

ORDER = 175


def check(device: Device) -> Iterator[Finding]:
    """By journald's settings, all drop-ins included."""
    read = ask("systemd-analyze", "cat-config", "systemd/journald.conf")
    yield from finding(read, Path("/var/log/journal"), f"sudo {device.place.installer}")


def finding(read: str | None, folder: Path, installer: str) -> Iterator[Finding]:
    """`read`: the files one after the other, of which the last word counts (man journald.conf)."""
    if read is None:
        return
    settings: dict[str, str] = {}
    for line in read.splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith(("#", ";")):
            settings[key.strip()] = value.strip()
    storage = settings.get("Storage") or "auto"
    if storage in ("volatile", "none") or (storage == "auto" and not folder.is_dir()):
        yield warn("journal", "kept in memory: a power cut takes what would explain it", installer)
    elif not settings.get("SystemMaxUse"):
        yield warn("journal", "has no bound: it may take a tenth of the card", installer)
    else:
        yield good("journal", f"on the card, at most {settings['SystemMaxUse']}")
