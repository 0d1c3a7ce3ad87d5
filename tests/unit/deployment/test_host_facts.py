"""The file by which the telemetry knows of the host, and what apt costs it."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from visantctl.errors import EngineAway
from visantctl.host import security_updates
from visantctl.host.place import Place
from visantctl.host.security_updates import AptQuestion, SecurityUpdates, Waiting
from visantctl.service import host_facts

from visant_contract.telemetry import HostFacts

SIMULATED = """\
Reading package lists...
Inst libssl3 [3.0.15-1~deb12u1] (3.0.16-1~deb12u1 Debian-Security:12/oldstable-security [arm64]) []
Inst openssl [3.0.15-1~deb12u1] (3.0.16-1~deb12u1 Debian-Security:12/oldstable-security [arm64])
Inst linux-image-6.1.0-32-arm64 (6.1.129-1 Debian-Security:12/oldstable-security [arm64])
Inst tzdata [2025a-0+deb12u1] (2025b-0+deb12u1 Debian:12.10/oldstable, Debian:12-updates/oldstable-updates [all])
Inst rpi-eeprom [27.8-1] (28.1-1 Raspberry Pi Foundation:stable [all])
Conf libssl3 (3.0.16-1~deb12u1 Debian-Security:12/oldstable-security [arm64])
"""
"""Of apt-get(8) --simulate dist-upgrade on Raspberry Pi OS 12, shortened."""


class Engine:
    """Of a host whose Engine is away; `asked` counts."""

    asked = 0

    def run(self, *_words: str, **_more: object) -> str:
        self.asked += 1
        raise EngineAway("the Docker Engine does not answer")


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("VISANT_HOST_ROOT", str(tmp_path / "host"))
    place = Place(tmp_path / "visant", tmp_path / "update.log", tmp_path / "units")
    place.prepare()
    said: list[str] = []
    return SimpleNamespace(
        place=place,
        engine=Engine(),
        settings=SimpleNamespace(project="visant"),
        ledger=SimpleNamespace(good="2.0.0"),
        log=SimpleNamespace(warning=said.append),
        said=said,
    )


def test_the_contract_reads_all_that_this_host_writes(device: Any) -> None:
    """On a host that lacks most of it: no vcgencmd, no WiFi, no Engine."""
    facts = host_facts.HostFacts(device)
    facts.keep()
    written = json.loads(device.place.host_facts.read_bytes())
    read = HostFacts.model_validate(written["facts"])
    assert written["facts"].keys() <= HostFacts.model_fields.keys() >= {*host_facts.READINGS, "security_updates"}
    assert read.release == "2.0.0" and read.engine is None
    for name, part in written["facts"].items():
        if isinstance(part, dict) and name not in ("radios", "restarts"):
            assert part.keys() <= type(getattr(read, name)).model_fields.keys(), name
    assert 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - written["boottime"] < 600
    assert stat.S_IMODE(device.place.host_facts.stat().st_mode) & 0o444 == 0o444, "the services are another user"
    assert device.said == []


def test_it_is_written_once_an_interval_and_a_start_waits_for_no_other_program(device: Any) -> None:
    seconds = [1000.0]
    facts = host_facts.HostFacts(device, lambda: seconds[-1])
    facts.keep(starting=True)
    assert device.place.host_facts.is_file() and device.engine.asked == 0
    facts.keep()
    asked = device.engine.asked
    assert asked > 0, "what was left out follows"
    for later in (1001.0, 1299.0):
        seconds.append(later)
        facts.keep()
    assert device.engine.asked == asked
    seconds.append(1300.0)
    facts.keep()
    assert device.engine.asked == 2 * asked


def test_a_reading_that_fails_costs_none_of_the_others_and_is_told_once(device: Any) -> None:
    def odd(_device: Any) -> None:
        raise ValueError("no number: 0xzz")

    facts = host_facts.HostFacts(device)
    facts._readings["card"] = odd
    for _ in range(3):
        facts._due = 0.0
        facts.keep()
    written = json.loads(device.place.host_facts.read_bytes())["facts"]
    assert "card" not in written and written["release"] == "2.0.0"
    assert device.said == ["the telemetry says less of the host: its card cannot be read: no number: 0xzz"]


def test_a_folder_that_cannot_be_written_stops_nothing(device: Any) -> None:
    Path(device.place.outside("run")).parent.mkdir(parents=True, exist_ok=True)
    device.place.outside("run").write_text("a file where a folder should be")
    facts = host_facts.HostFacts(device)
    for _ in range(3):
        facts._due = 0.0
        facts.keep()
    assert len(device.said) == 1 and "facts.json is not written" in device.said[0]


def test_only_what_comes_from_a_security_archive_is_counted() -> None:
    assert security_updates.count(SIMULATED) == 3
    assert (
        security_updates.count("Inst curl [1] (2 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64])") == 1
    )
    assert security_updates.count("") == 0
    assert security_updates.count(None) is None


class Host:
    """A Debian whose apt counts how often it is asked."""

    def __init__(self, root: Path) -> None:
        self.root, self.note = root, root / "note.json"
        self.said: str | None = SIMULATED
        self.asked = 0
        (root / "var/lib/apt/lists").mkdir(parents=True)
        (root / "var/lib/dpkg").mkdir(parents=True)
        self.changed(1)
        self.updates = SecurityUpdates(self.note, root, self._ask)

    def changed(self, times: int) -> None:
        status = self.root / "var/lib/dpkg/status"
        status.touch()
        os.utime(status, ns=(times, times))

    def _ask(self) -> Any:
        self.asked += 1
        return SimpleNamespace(answer=lambda: self.said)

    def waiting(self, now: str | None, *, may_ask: bool = True) -> tuple[int | None, str | None] | None:
        found = self.updates.waiting(now, may_ask=may_ask)
        return None if found is None else (found.pending, found.since)


def test_apt_is_asked_once_for_each_change_of_its_lists_or_of_what_is_installed(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.waiting("day 1", may_ask=False) is None and host.asked == 0
    assert host.waiting("day 1") is None and host.asked == 1, "nobody waits for its answer"
    assert host.waiting("day 1") == (3, "day 1")
    before = host.note.stat().st_mtime_ns
    assert host.waiting("day 2") == (3, "day 1")
    assert (host.asked, host.note.stat().st_mtime_ns) == (1, before), "and nothing is written to the card"
    host.changed(2)
    assert host.waiting("day 3", may_ask=False) == (3, "day 1") and host.asked == 1, "a start does not ask"
    host.said = "0 upgraded"
    assert [host.waiting("day 3"), host.waiting("day 3")] == [(3, "day 1"), (0, None)] and host.asked == 2
    host.said = SIMULATED
    host.changed(4)
    assert [host.waiting("day 9"), host.waiting("day 9")] == [(0, None), (3, "day 9")]
    assert SecurityUpdates(host.note, tmp_path, host._ask).waiting("day 10", may_ask=True) == Waiting(3, "day 9")
    assert host.asked == 3, "what was known before a restart is known after it"


def test_a_wrong_clock_says_no_since_until_it_is_right(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert [host.waiting(None), host.waiting(None)] == [None, (3, None)]
    assert host.waiting("2026-11-30") == (3, "2026-11-30") and host.asked == 1


def test_without_apt_or_without_its_answer_nothing_is_claimed(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert SecurityUpdates(host.note, tmp_path / "none", host._ask).waiting("now", may_ask=True) is None
    host.said = None
    assert [host.waiting("day 1"), host.waiting("day 1")] == [None, (None, None)]
    assert host.waiting("day 2") == (None, None) and host.asked == 1, "an apt that fails is not asked each five minutes"
    host.said = SIMULATED
    for damaged in ("[1, 2", '{"key": "x", "pending": -4, "since": 7}', '{"pending": 2, "since": "day 0"}', "[]"):
        host.note.write_text(damaged)
        assert host.waiting("day 3") in (None, (None, None))
        assert host.waiting("day 3") == (3, "day 3" if "day 0" not in damaged else "day 0")


def test_apt_answers_into_memory_and_one_that_is_not_through_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security_updates, "_ASK", ("sh", "-c", "echo Inst curl; exec sleep 600"))
    slow = AptQuestion()
    assert slow.answer() is None and slow._process.returncode == -9
    monkeypatch.setattr(security_updates, "_ASK", ("sh", "-c", "echo Inst curl"))
    quick = AptQuestion()
    quick._process.wait()
    assert quick.answer() == "Inst curl\n"
    monkeypatch.setattr(security_updates, "_ASK", ("sh", "-c", "echo E: no lists; exit 100"))
    failed = AptQuestion()
    failed._process.wait()
    assert failed.answer() is None
