"""The services' lines in the host's journal: where it takes them, and nowhere else."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from visantctl import cli
from visantctl.host import units
from visantctl.host.place import Place
from visantctl.releases import stack
from visantctl.releases.stack import Stack

TREE = Path(__file__).resolve().parents[3]
FILE = "deployment/compose.journal.yaml"


class FakeEngine:
    """Remembers what it was asked; has the log drivers that it is told."""

    def __init__(self, drivers: str = '["journald","local"]') -> None:
        self.drivers = drivers
        self.asked: list[list[str]] = []

    def run(self, *words: str, **_: Any) -> str:
        self.asked.append(list(words))
        return self.drivers if words[0] == "info" else ""

    @property
    def files(self) -> list[str]:
        """Those of the start, by name."""
        words = next(words for words in self.asked if "up" in words)
        return [Path(file).name for word, file in pairwise(words) if word == "--file"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A device with a release, on a host whose journal listens."""
    place = Place(tmp_path, tmp_path / "log", tmp_path)
    (place.release("2.0.0") / FILE).parent.mkdir(parents=True)
    (place.release("2.0.0") / FILE).touch()
    (tmp_path / "socket").touch()
    monkeypatch.setattr(stack, "JOURNAL", tmp_path / "socket")
    monkeypatch.setattr(stack, "keep_out", lambda *_: None)
    return place


def started(place: Place, engine: FakeEngine | None = None) -> list[str]:
    engine = engine or FakeEngine()
    given: Any = engine
    Stack(given, place, "visant", "2.0.0").start()
    return engine.files


def test_a_start_adds_the_journal_before_the_sites_own_file(place: Place) -> None:
    place.compose_override.write_text("services: {camera: {mem_limit: 400m}}\n")
    assert started(place) == ["compose.yaml", "compose.journal.yaml", "compose.override.yaml"]


def test_a_host_without_a_journal_starts_without_it(place: Place) -> None:
    stack.JOURNAL.unlink()
    assert started(place) == ["compose.yaml"]


def test_an_engine_that_cannot_write_to_the_journal_starts_without_it(place: Place) -> None:
    assert started(place, FakeEngine('["json-file","local"]')) == ["compose.yaml"]


def test_a_release_from_before_is_started_as_it_was(place: Place) -> None:
    (place.release("2.0.0") / FILE).unlink()
    assert started(place) == ["compose.yaml"]


def test_a_site_that_decides_about_logs_keeps_its_word(place: Place) -> None:
    place.compose_override.write_text("services: {camera: {logging: {options: {max-size: 1m}}}}\n")
    assert started(place) == ["compose.yaml", "compose.override.yaml"]


def test_every_service_sends_its_lines_to_the_units_journal_under_its_own_name() -> None:
    added = yaml.safe_load((TREE / FILE).read_text())["services"]
    assert set(added) == set(yaml.safe_load((TREE / "compose.yaml").read_text())["services"])
    for name, one in added.items():
        assert one["logging"] == {"driver": "journald", "options": {"tag": name, "labels": "OBJECT_SYSTEMD_UNIT"}}
        assert one["labels"] == {"OBJECT_SYSTEMD_UNIT": units.DEVICE}


class Became(Exception):
    """The program that `visantctl logs` turned into."""


@pytest.mark.parametrize(("in_journal", "program"), [(True, "journalctl"), (False, "docker")])
def test_logs_are_read_where_they_are(
    place: Place, monkeypatch: pytest.MonkeyPatch, in_journal: bool, program: str
) -> None:
    (place.release("2.0.0") / "release.json").write_text('{"images": {"camera": {}, "redis": {}}}')
    place.current.symlink_to("releases/2.0.0")
    if not in_journal:
        stack.JOURNAL.unlink()

    def become(_file: str, words: list[str], *_: Any) -> None:
        raise Became(" ".join(words))

    monkeypatch.setenv("VISANT_ROOT", str(place.root))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.execvp", become)
    monkeypatch.setattr("os.execvpe", become)
    monkeypatch.setattr("visantctl.host.engine.Engine.run", lambda *_words, **_how: '["journald"]')
    with pytest.raises(Became, match=rf"^{program} .*\b500\b.*camera$"):
        cli.main(["logs", "camera"])
    assert cli.main(["logs", "kamera"]) == 1
