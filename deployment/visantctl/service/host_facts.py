"""What the telemetry says of the host: a small file in memory, which the uploader reads as a stranger's.

Written by `visantctl run`, which is there anyway: no unit of its own, and no Python that starts each five minutes. See
docs/adr/0042-host-facts-in-a-file.md; the fields are those of `HostFacts` in contract/.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from visantctl.errors import Problem
from visantctl.host import durable, readings
from visantctl.host.log import now
from visantctl.host.programs import ask
from visantctl.host.readings import THROTTLED, UNDERVOLTAGE
from visantctl.host.security_updates import SecurityUpdates
from visantctl.network import clock
from visantctl.releases.stack import containers
from visantctl.wiring import Device

EVERY = 300.0
"""Seconds; the uploader believes a file for twice as long."""
_QUIET_AFTER = 600.0
"""Seconds since boot before which apt is not asked."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class HostFacts:
    """The file of one device. What fails is told once: pictures go on without it."""

    def __init__(self, device: Device, steady: Callable[[], float] = time.monotonic) -> None:
        """`steady`: seconds of a clock that nobody sets."""
        self._device = device
        self._steady = steady
        self._due = 0.0
        self._said: set[str] = set()
        self._updates = SecurityUpdates(device.place.state / "security_updates.json", device.place.outside(""))
        self._readings = {**READINGS, "security_updates": self._security_updates}

    def keep(self, *, starting: bool = False) -> None:
        """Write it anew where that is due. `starting`: what takes time is left out, and follows at the next call."""
        if self._steady() < self._due:
            return
        if not starting:
            self._due = self._steady() + EVERY
        try:
            self.write({name: read for name, read in self._readings.items() if not (starting and name in _SLOW)})
        except OSError as error:
            self._tell("file", f"{self._device.place.host_facts} is not written: {error.strerror or error}")

    def write(self, readings: Mapping[str, Callable[[Device], Any]]) -> None:
        """Now. (In memory: the fsync in it costs nothing.)"""
        content = {
            "boot_id": _BOOT_ID.read_text().strip(),
            "boottime": time.clock_gettime(time.CLOCK_BOOTTIME),
            "facts": self.gather(readings),
        }
        durable.write_file(self._device.place.host_facts, json.dumps(content, sort_keys=True).encode())

    def gather(self, readings: Mapping[str, Callable[[Device], Any]]) -> dict[str, Any]:
        """What this host knows; a reading that fails costs none of the others."""
        found = {name: self._read(name, read) for name, read in readings.items()}
        return {name: value for name, value in found.items() if value is not None}

    def _read(self, name: str, read: Callable[[Device], Any]) -> Any:
        try:
            return read(self._device)
        except Exception as error:  # noqa: BLE001  # an odd answer of the kernel or of another program
            self._tell(name, f"its {name} cannot be read: {str(error) or type(error).__name__}")
            return None

    def _security_updates(self, _device: Device) -> dict[str, Any] | None:
        right = now() if clock.synchronised() else None
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        found = self._updates.waiting(right, may_ask=uptime > _QUIET_AFTER)
        return None if found is None else asdict(found)

    def _tell(self, what: str, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._device.log.warning(f"the telemetry says less of the host: {text}")


def _engine(device: Device) -> str | None:
    try:
        return device.engine.run("version", "--format", "{{.Server.Version}}", timeout=15).strip() or None
    except Problem:  # `run` tells about it
        return None


def _restarts(device: Device) -> dict[str, int] | None:
    """The Engine counts anew where a container is started otherwise than by its restart policy."""
    try:
        return {one.service: one.restarts for one in containers(device.engine, device.settings.project)}
    except Problem:
        return None


def _clock_source(device: Device) -> str:
    if clock.synchronised():
        return "ntp"
    return "cloud" if ask("systemctl", "is-active", "visant-clock.timer") == "active" else "none"


def _engine_disk(device: Device) -> dict[str, int] | None:
    data = device.place.outside("var/lib/docker")
    found = readings.space(data if data.exists() else data.parent)
    if found is None:
        return None
    told = asdict(found)
    return told if found.total_files else {name: told[name] for name in ("free_bytes", "total_bytes")}


def _card(device: Device) -> dict[str, Any]:
    systems, lives = readings.file_systems(), readings.card_lives()
    used = max((one.used for one in lives), default=0)
    written = [one.written_bytes for one in systems if one.written_bytes is not None]
    return {
        "read_only": readings.root_is_read_only(),
        "errors": sum(one.errors for one in systems) if systems else None,
        "life_used_percent": used * 10 if used else None,
        "pre_eol": max((one.pre_eol for one in lives), default=0) or None,
        "written_bytes": sum(written) if written else None,
        "bytes_a_day": readings.bytes_a_day([device.place.root, Path("/var/lib")]),
    }


def _power(_device: Device) -> dict[str, bool | None] | None:
    found = readings.throttling()
    if found is None:
        return None
    return {
        "undervoltage": found.now(UNDERVOLTAGE),
        "undervoltage_since_boot": found.since_boot(UNDERVOLTAGE),
        "throttled": found.now(THROTTLED) if found.remembers else None,
        "throttled_since_boot": found.since_boot(THROTTLED),
    }


def _radios(_device: Device) -> dict[str, dict[str, float | None]]:
    return {name: asdict(one) for name, one in readings.radio_signals().items()}


READINGS: dict[str, Callable[[Device], Any]] = {
    "clock_source": _clock_source,
    "engine_disk": _engine_disk,
    "card": _card,
    "power": _power,
    "radios": _radios,
    "uplink": lambda _device: readings.uplink(),
    "engine": _engine,
    "restarts": _restarts,
    "release": lambda device: device.ledger.good,
    "reboot_wanted": lambda device: readings.reboot_wanted(device.place.outside("")),
}
"""By field of the contract's HostFacts; `security_updates` remembers what it asked."""
_SLOW = ("engine", "restarts", "security_updates")
"""Answers of other programs, which may take seconds."""
