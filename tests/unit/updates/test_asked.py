"""What the cloud asks of the updater is heeded once, from a file that nobody trusts."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from visantctl.errors import Refused
from visantctl.host import durable
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.updates import asked
from visantctl.updates.asked import Request, Wish, heed
from visantctl.updates.ledger import Ledger

from tests.support.not_none import not_none

ME = os.getuid()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "visant", tmp_path / "log", tmp_path / "units")
    place.prepare()
    return place


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool" / asked.FILE


def ask(place: Place, file: Path, **value: Any) -> tuple[Request, bool] | None:
    file.write_text(json.dumps(value))
    return heed(place, file, ME)


def test_now_is_a_look_for_a_release_and_changes_nothing_else(place: Place, file: Path) -> None:
    assert ask(place, file, id="t1", word="now") == (Request("t1", "now"), True)
    assert not file.exists()
    assert Wish.read(place).told == ""
    assert heed(place, file, ME) is None


def test_hold_pin_and_resume_replace_each_other(place: Place, file: Path) -> None:
    assert ask(place, file, id="1", word="hold") == (Request("1", "hold"), False)
    assert Wish.read(place).told == "on hold"
    assert ask(place, file, id="2", word="pin", version="2.0.1") == (Request("2", "pin", "2.0.1"), True)
    assert Wish.read(place).told == "pinned to 2.0.1"
    assert ask(place, file, id="3", word="resume") == (Request("3", "resume"), True)
    assert Wish.read(place).told == ""


def test_a_request_that_is_there_again_after_a_reboot_is_done_once(place: Place, file: Path) -> None:
    ask(place, file, id="1", word="hold")
    ask(place, file, id="2", word="resume")
    for id, word in (("2", "resume"), ("1", "hold")):
        assert ask(place, file, id=id, word=word) == (Request(id, word), False)
    assert Wish.read(place).told == ""
    assert not file.exists()


def test_a_power_cut_before_the_file_is_gone_does_it_once(
    place: Place, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_file: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(asked, "_take_away", cut)
        with pytest.raises(KeyboardInterrupt):
            ask(place, file, id="1", word="now")
    assert heed(place, file, ME) == (Request("1", "now"), False)
    assert not file.exists()


def test_settings_of_each_stream_are_no_news_when_nothing_changes(place: Place, file: Path) -> None:
    assert ask(place, file, id="", word="pin", version="2.0.1") == (Request("", "pin", "2.0.1"), True)
    since = Wish.read(place).since
    assert ask(place, file, id="", word="pin", version="2.0.1") == (Request("", "pin", "2.0.1"), False)
    assert Wish.read(place).since == since


def test_what_was_heeded_is_remembered_within_a_bound(place: Place, file: Path) -> None:
    for number in range(50):
        ask(place, file, id=f"t{number}", word="now")
    assert len(Wish.read(place).heeded) == 20


def linked(file: Path) -> None:
    (file.parent / "elsewhere").write_text(json.dumps({"id": "1", "word": "hold"}))
    file.symlink_to("elsewhere")


def listening(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(file))


def folder(file: Path) -> None:
    (file / "deep").mkdir(parents=True)
    (file / "deep/x").touch()


@pytest.mark.parametrize(
    "make",
    [
        linked,
        lambda file: file.symlink_to("/no/such/file"),
        os.mkfifo,
        listening,
        folder,
        lambda file: file.write_bytes(b" " * 1001),
        lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_RDWR), 1 << 40),
        lambda file: file.write_text('{"id": "1", "word": "ho'),
        lambda file: file.write_text(""),
        lambda file: file.write_bytes(b"\xff\xfe\0"),
        lambda file: file.write_text("[" * 999),
        lambda file: file.write_text('["now"]'),
        lambda file: file.write_text('{"id": "1", "word": ["now"]}'),
        lambda file: file.write_text('{"id": "1", "word": "force"}'),
        lambda file: file.write_text('{"id": 1, "word": "now"}'),
        lambda file: file.write_text('{"id": "", "word": "now"}'),
        lambda file: file.write_text(json.dumps({"id": "a\nb", "word": "now"})),
        lambda file: file.write_text(json.dumps({"id": "a" * 201, "word": "now"})),
        lambda file: file.write_text('{"id": "1", "word": "pin"}'),
        lambda file: file.write_text('{"id": "1", "word": "pin", "version": "../2.0.1"}'),
    ],
)
def test_what_is_no_request_is_refused_taken_away_and_changes_nothing(
    place: Place, file: Path, make: Callable[[Path], object]
) -> None:
    make(file)
    with pytest.raises(Refused):
        heed(place, file, ME)
    assert not os.path.lexists(file)
    assert Wish.read(place) == Wish()
    assert ask(place, file, id="1", word="hold"), "and the next one is heard"


def test_a_file_of_another_user_is_none(place: Place, file: Path) -> None:
    file.write_text(json.dumps({"id": "1", "word": "hold"}))
    with pytest.raises(Refused, match="no request"):
        heed(place, file, ME + 1)
    assert Wish.read(place) == Wish()


@pytest.mark.parametrize("damage", ["", "[]", '{"held": "yes", "pin": "x", "heeded": 3}', "{"])
def test_a_memory_that_the_card_damaged_takes_releases_as_they_come(place: Place, damage: str) -> None:
    (place.state / "asked.json").write_text(damage)
    assert Wish.read(place).told == ""


def test_a_persons_pin_is_stronger_than_the_clouds() -> None:
    wish = Wish(pin="2.0.1")
    assert wish.applied(Settings()) == replace(Settings(), pin="2.0.1", pinned_by_cloud=True)
    assert wish.applied(Settings(pin="1.9.0")) == Settings(pin="1.9.0")
    assert Wish(held=True).applied(Settings(pin="1.9.0")) == Settings(pin="1.9.0", held=True)


def test_the_telemetry_says_what_the_cloud_asked_for(place: Place, file: Path) -> None:
    ledger = Ledger(place)
    ledger.write("updated", to="2.0.0")
    ask(place, file, id="1", word="hold")
    ledger.tell_again()
    told = not_none(durable.read_json(place.shared / "update.json"))
    assert (told["result"], told["updates"]) == ("updated", "on hold")
    ask(place, file, id="2", word="resume")
    ledger.tell_again()
    assert "updates" not in not_none(durable.read_json(place.shared / "update.json"))
