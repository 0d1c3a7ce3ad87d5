"""A month of a fleet through the alert engine's own door, on a clock of the bench's own; nothing waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.alerts import mix
from tests.bench.alerts.findings import Record, Said
from tests.bench.alerts.world import Device, World
from visant_cloud.alerts import telling
from visant_cloud.alerts.engine import AlertEngine, Head, Key, Opened, Told
from visant_cloud.alerts.rounds import TICK
from visant_cloud.alerts.states import Ended, Slot
from visant_cloud.store.alerts import Alert

START = datetime(2026, 7, 1, tzinfo=UTC)
TO_CHANNEL = 2.0
"""Seconds that a message waits for the outbox (channels/outbox.py), at most."""
_KEPT = 30


def sites_of(cameras: int, of_site: int = 5) -> dict[str, list[str]]:
    """So many cameras, five to a site."""
    names = [f"C{number:03d}" for number in range(cameras)]
    return {f"S{n // of_site:02d}": names[n : n + of_site] for n in range(0, cameras, of_site)}


class Month:
    """One run. `rate`: faults come so much oftener than the mix says."""

    def __init__(self, seed: int, cameras: int, days: float, rate: float = 1.0) -> None:
        self._seconds = days * mix.DAY
        sites = sites_of(cameras)
        faults = mix.happen(seed, sites, self._seconds, rate)
        self.record = Record(cameras, self._seconds, faults)
        self._world = World(seed, sites, faults, self._seconds)
        self._world.connect, self._world.cut = self._connect, self._cut
        self._world.say, self._world.end = self._say, self._end
        self._engine = AlertEngine()
        self._told = {
            one.name: Told(
                Head(one.name, "default", one.site, True, 0),
                created_at=START,
                last_seen_at=START,
                interval=one.interval,
            )
            for one in self._world.devices.values()
        }
        self._heads = {name: told.head for name, told in self._told.items()}
        self._connected = set(self._told)
        self._alerts: dict[int, Alert] = {}
        """Of which something is to be told, as the store keeps them (alerts/rounds.py)."""
        self._opened_at: dict[int, float] = {}
        self._count = self._notices = 0

    def run(self) -> Record:
        """All of it."""
        at = 0.0
        while at < self._seconds:
            at += TICK
            self._world.pass_to(at)
            self._round(at)
        for number, one in self._alerts.items():
            if one.opened_notice_id is None:
                self._note(number, None)
        return self.record

    @property
    def _now(self) -> datetime:
        return START + timedelta(seconds=self._world.at)

    def _connect(self, device: Device) -> None:
        self._connected.add(device.name)

    def _cut(self, device: Device) -> None:
        self._connected.discard(device.name)
        self._change(device.name, last_seen_at=self._now)

    def _say(self, device: Device, telemetry: dict[str, Any]) -> None:
        self._change(device.name, telemetry=telemetry, telemetry_at=self._now, last_seen_at=self._now)

    def _end(self, device: Device, status: str, reason: str | None, slot: float) -> None:
        seq = int(slot) + 1
        others = [one for one in self._told[device.name].outcomes if one.seq != seq]
        outcomes = tuple(sorted([*others, Ended(seq, status, reason)]))[-_KEPT:]
        newest = outcomes[-1]
        missed = None if newest.status == "executed" else START + timedelta(seconds=newest.seq - 1)
        made = None if missed is None else Slot(newest.seq, missed, newest.reason)
        self._change(device.name, outcomes=outcomes, slot=made)

    def _change(self, name: str, **values: Any) -> None:
        old = self._told[name]
        head = old.head._replace(changes=old.head.changes + 1)
        self._told[name] = Told(**{**vars(old), "head": head, **values})
        self._heads[name] = head

    def _round(self, at: float) -> None:
        unknown = self._engine.unknown(self._heads.values())
        told = [self._told[name] for name in unknown]
        open_ = {one.key for one in self._alerts.values() if one.cleared_at is None}
        changes = self._engine.step(self._now, at, told, frozenset(self._connected), open_)
        if changes or any(one.cleared_at is not None or one.opened_notice_id is None for one in self._alerts.values()):
            self._store(changes, at)

    def _store(self, changes: list[Any], at: float) -> None:
        now = self._now
        for change in changes:
            if isinstance(change, Opened):
                self._count += 1
                self._alerts[self._count] = _alert(self._count, change, now)
                self._opened_at[self._count] = at
            else:
                number = self._number(change.key)
                self._alerts[number] = replace(self._alerts[number], cleared_at=now)
                if self._alerts[number].opened_notice_id is None:
                    self._note(number, None)  # of what nobody was told, nobody is told that it is over
                    del self._alerts[number]
        for message in telling.plan(self._alerts.values(), now).messages:
            self._notices += 1
            for one in message.alerts:
                if message.type == "opened":
                    self._alerts[one.alert_id] = replace(one, opened_notice_id=self._notices)
                    self._note(one.alert_id, at + TO_CHANNEL)
                else:
                    del self._alerts[one.alert_id]
            if message.type == "opened":
                self.record.opened += 1
            else:
                self.record.cleared += 1

    def _note(self, number: int, message: float | None) -> None:
        one = self._alerts[number]
        self.record.said.append(Said(one.subject, one.kind, self._opened_at[number], message))

    def _number(self, key: Key) -> int:
        return next(number for number, one in self._alerts.items() if one.key == key and one.cleared_at is None)


def _alert(number: int, opened: Opened, now: datetime) -> Alert:
    key, cause = opened.key, opened.cause
    about = (key.organisation_id, key.subject, key.kind, key.subject, opened.site)
    return Alert(number, *about, cause.since, now, cause.detail, cause.remedy, None, None, None, None, None, None)
