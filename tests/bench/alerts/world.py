"""Devices to which faults happen: what each says, when it is connected, how its pictures end. Free of I/O and of the
cloud's clock; whoever drives it hands the facts on."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.bench.alerts.mix import MINUTE, Fault
from visant_cloud.alerts import kinds

REPORT = 300.0
"""Seconds between reports of a device that is well."""
SLOTS = (1800.0, 3600.0)
"""Schedules: every half hour, and each fifth device every hour."""
_BOOT = 60.0
_NOTICE = (5.0, 40.0)
"""Seconds until a cloud knows that a stream is dead: two pings of 20 s."""
_BACK = (1.0, 30.0)
"""Seconds until a device is back: its reconnects wait for 30 at most."""
_SOON = (1.0, 10.0)
"""Seconds until a changed camera is told: three times, then once a minute."""
_GRACE = 60.0
"""Seconds past an interval at which the cloud says of a trigger that its device is silent."""
_DISK = 28 << 30
_WALL = "2026-07-01T00:00:00Z"
"""Nobody judges by it."""


@dataclass
class Device:
    """One camera and its board."""

    name: str
    site: str
    interval: float
    chance: random.Random
    away: int = 0
    """Reasons for which it reaches nobody."""
    unseen: int = 0
    """Those of them that the cloud has noticed."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """kind -> those that hold now, noise too."""
    told_camera: list[float] = field(default_factory=list)
    """When a changed camera was told lately."""

    def has(self, kind: str) -> Fault | None:
        """The first fault of this kind that holds."""
        found = self.faults.get(kind)
        return found[0] if found else None

    @property
    def connected(self) -> bool:
        """As the cloud sees it."""
        return self.unseen == 0

    def report(self, at: float) -> dict[str, Any]:
        """Its telemetry."""
        camera, spool, clock, heat = (self.has(one) for one in (kinds.CAMERA, kinds.SPOOL, kinds.CLOCK, kinds.HEAT))
        degrees = 58.0 if heat is None else 76.0 if heat.cause.noise else 84.0
        waiting = 0.0 if spool is None else at - spool.begin
        said: dict[str, Any] = {
            "device_version": "2.0.0",
            "state": "degraded" if camera else "ok",
            "camera": {"state": "camera_absent" if camera else "ok", "state_age": at - camera.begin if camera else 1e4},
            "spool": {
                "pictures": int(waiting / self.interval),
                "bytes": 200_000 * int(waiting / self.interval),
                "limit_bytes": 2 << 30,
                "oldest_age": waiting,
            },
            "clock": {"wall": _WALL, "synchronised": clock is None, "cloud_offset": 0.2 if clock is None else 140.0},
            "temperature": degrees + self.chance.gauss(0.0, 1.5),
            "disk_free_bytes": 300 << 20 if self.has(kinds.DISK) else 20 << 30,
            "disk_total_bytes": _DISK,
            "host": {"power": {"undervoltage": self.has(kinds.POWER) is not None}},
        }
        if camera:
            said["reasons"] = ["camera: camera_absent"]
        return said


class World:
    """Hands out what devices do, in time: `connect`, `cut`, `say` and `end` are called by `pass_to`."""

    def __init__(self, seed: int, sites: dict[str, list[str]], faults: list[Fault], seconds: float) -> None:
        self.devices: dict[str, Device] = {}
        self.connect: Callable[[Device], None] = lambda device: None
        self.cut: Callable[[Device], None] = lambda device: None
        self.say: Callable[[Device, dict[str, Any]], None] = lambda device, told: None
        self.end: Callable[[Device, str, str | None, float], None] = lambda device, status, reason, slot: None
        """(device, status, reason, seconds of its slot)"""
        self.at = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        for number, (name, site) in enumerate((name, site) for site, names in sites.items() for name in names):
            chance = random.Random(f"{seed}/device/{name}")
            device = Device(name, site, SLOTS[number % 5 == 4], chance)
            self.devices[name] = device
            self._plan(chance.uniform(0, REPORT), self._reporting, device)
            self._plan(chance.uniform(0, device.interval), self._slots, device)
        for fault in faults:
            for name in fault.devices:
                device = self.devices[name]
                self._plan(fault.begin, self._begins, device, fault)
                self._plan(fault.end, self._ends, device, fault)

    def pass_to(self, at: float) -> None:
        """Time goes on to `at` seconds."""
        while self._due and self._due[0][0] <= at:
            self.at, _, what = heapq.heappop(self._due)
            what()
        self.at = at

    @property
    def next_at(self) -> float:
        """When something happens next."""
        return self._due[0][0] if self._due else float("inf")

    def _plan(self, at: float, what: Callable[..., None], *words: Any) -> None:
        heapq.heappush(self._due, (at, next(self._number), lambda: what(*words)))

    def _begins(self, device: Device, fault: Fault) -> None:
        kind = fault.cause.kind
        device.faults.setdefault(kind, []).append(fault)
        if kind == kinds.SILENT:
            device.away += 1
            back = fault.end + device.chance.uniform(*_BACK) + (_BOOT if fault.cause.name == "power cut" else 0.0)
            noticed = self.at + device.chance.uniform(*_NOTICE)
            self._plan(back, self._returns, device, noticed < back)
            if noticed < back:
                self._plan(noticed, self._noticed, device)
        elif kind == kinds.CAMERA:
            self._camera_changed(device)

    def _ends(self, device: Device, fault: Fault) -> None:
        device.faults[fault.cause.kind].remove(fault)
        if fault.cause.kind == kinds.CAMERA:
            self._camera_changed(device)

    def _noticed(self, device: Device) -> None:
        device.unseen += 1
        if device.unseen == 1:
            self.cut(device)

    def _returns(self, device: Device, noticed: bool) -> None:
        device.away -= 1
        if noticed:
            device.unseen -= 1
            if device.unseen == 0:
                self.connect(device)
        self._plan(self.at + device.chance.uniform(*_SOON), self._says, device)

    def _camera_changed(self, device: Device) -> None:
        device.told_camera = [one for one in device.told_camera if one > self.at - MINUTE][-3:]
        wait = device.chance.uniform(*_SOON) + (MINUTE if len(device.told_camera) == 3 else 0.0)
        device.told_camera.append(self.at + wait)
        self._plan(self.at + wait, self._says, device)

    def _reporting(self, device: Device) -> None:
        self._says(device)
        self._plan(self.at + REPORT, self._reporting, device)

    def _says(self, device: Device) -> None:
        if not device.away and device.has(kinds.NO_TELEMETRY) is None:
            self.say(device, device.report(self.at))

    def _slots(self, device: Device) -> None:
        self._try(device, self.at, False)
        self._plan(self.at + device.interval, self._slots, device)

    def _try(self, device: Device, slot: float, given_up: bool) -> None:
        """A trigger of a slot. `given_up`: the cloud has said that it heard nothing, which a picture still changes."""
        late = self.at - slot >= device.interval + _GRACE
        if device.away or not device.connected:
            if late:
                self.end(device, "expired", "device_silent", slot)
            else:
                self._plan(self.at + 30.0, self._try, device, slot, False)
            return
        failing = device.has(kinds.FAILURES)
        if device.has(kinds.CAMERA) and not given_up:
            self._plan(self.at + 15.0, self.end, device, "failed", "camera_absent", slot)
        elif failing is not None and not given_up and (failing.cause.noise or device.chance.random() < 0.95):
            self._plan(self.at + 15.0, self.end, device, "failed", "bad_frames", slot)
        elif device.has(kinds.SPOOL) is None and device.has(kinds.NO_TELEMETRY) is None:
            self._plan(self.at + 3.0, self.end, device, "executed", None, slot)
        else:
            if late and not given_up:
                self.end(device, "expired", "device_silent", slot)
            self._plan(self.at + MINUTE, self._try, device, slot, late)
