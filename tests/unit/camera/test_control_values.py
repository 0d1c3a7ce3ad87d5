"""What may be set, and that it is remembered."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.camera.conftest import MakeRig, ScriptedDriver
from visant_camera.control_values import NotAllowed, SavedValues, check, in_order, read_wish
from visant_camera.drivers.base import Control

BRIGHTNESS = Control("brightness", "integer", -64, 64, 1, 0, 5)
ZOOM = Control("zoom_absolute", "integer", 100, 500, 10, 100, 100)
EXPOSURE = Control("auto_exposure", "menu", 0, 3, 1, 3, 3, menu={1: "Manual Mode", 3: "Aperture Priority Mode"})
ALL = [ZOOM, BRIGHTNESS, EXPOSURE]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"brightness": 65}, "brightness=65: it must be from -64 to 64"),
        ({"brightness": -65}, "from -64 to 64"),
        ({"zoom_absolute": 105}, "from 100 to 500 in steps of 10"),
        ({"auto_exposure": 2}, r"auto_exposure=2: it must be one of 1 \(Manual Mode\), 3 \(Aperture Priority Mode\)"),
        ({"sharpnes": 1}, "sharpnes: the camera has no such control; it has zoom_absolute, brightness, auto_exposure"),
    ],
)
def test_what_the_camera_does_not_have_is_refused_with_the_range(wish: dict[str, int], words: str) -> None:
    with pytest.raises(NotAllowed, match=words):
        check(wish, ALL)


def test_null_means_the_default() -> None:
    assert check({"brightness": None, "zoom_absolute": 110}, ALL) == {"brightness": 0, "zoom_absolute": 110}


def test_modes_are_set_before_the_numbers_that_depend_on_them() -> None:
    assert [name for name, _ in in_order({"brightness": 1, "auto_exposure": 1}, ALL)] == ["auto_exposure", "brightness"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"brightness": "10"}', b'{"brightness": 1.5}', b'{"a": {}}', b"\xff"]
)
def test_a_body_that_is_no_object_of_numbers_is_refused(body: bytes) -> None:
    with pytest.raises(NotAllowed, match=r"must be (one JSON object|a whole number)"):
        read_wish(body)


def test_switches_may_be_written_as_truth_values() -> None:
    assert read_wish(b'{"focus": true, "hdr": false, "brightness": null}') == {"focus": 1, "hdr": 0, "brightness": None}


def test_values_survive_a_restart_for_each_camera_by_itself(tmp_path: Path) -> None:
    saved = SavedValues(tmp_path / "state")
    assert saved.update("C920", {"brightness": 10, "zoom_absolute": 120})
    assert saved.update("C270", {"brightness": 3})
    assert saved.update("C920", {"zoom_absolute": None})
    again = SavedValues(tmp_path / "state")
    assert again.of("C920") == {"brightness": 10}
    assert again.of("C270") == {"brightness": 3}
    assert again.of("other") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"C920": {"brightness": "x"}}', '{"C920": 3}', "\0\0\0"])
def test_a_damaged_file_is_ignored_with_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "controls.json").write_text(content)
    saved = SavedValues(tmp_path)
    assert saved.of("C920") == {}
    assert capsys.readouterr().out.count("saved controls are ignored") == 1
    assert saved.update("C920", {"brightness": 1})
    assert json.loads((tmp_path / "controls.json").read_text()) == {"C920": {"brightness": 1}}
    assert (tmp_path / "controls.damaged").read_text() == content, "what a person wrote by hand is not lost"


def test_a_folder_that_cannot_be_written_is_said_and_the_values_hold_until_the_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    saved = SavedValues(tmp_path / "file" / "state")
    assert not saved.update("C920", {"brightness": 1})
    assert saved.of("C920") == {"brightness": 1}
    assert "controls are not kept across a restart" in capsys.readouterr().out


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = SavedValues(tmp_path)
    saved.update("C920", {"brightness": 1})
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert not saved.update("C920", {"brightness": 2})
    assert SavedValues(tmp_path).of("C920") == {"brightness": 1}


def test_a_kept_value_that_the_camera_no_longer_has_is_said_and_the_others_are_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make_rig: MakeRig, driver: ScriptedDriver
) -> None:
    driver.settable = {"brightness": BRIGHTNESS}
    saved = SavedValues(tmp_path)
    saved.update("Scripted", {"gone_with_the_old_camera": 1, "brightness": 9})
    make_rig(on_open=saved.restore).until("ok")
    assert driver.history == [("brightness", 9)]
    said = capsys.readouterr().out
    assert said.count("a saved control does not fit this camera") == 1
    assert "gone_with_the_old_camera" in said


def test_kept_controls_are_set_again_after_each_open(
    make_rig: Any, driver: ScriptedDriver, tmp_path: Path, until: Any
) -> None:
    driver.settable = {"brightness": BRIGHTNESS}
    saved = SavedValues(tmp_path)
    saved.update("Scripted", {"brightness": 9, "gone_with_the_old_camera": 1})
    rig = make_rig(on_open=saved.restore)
    rig.until("ok")
    assert driver.history == [("brightness", 9)]
    driver.present = False
    rig.until("camera_absent")
    driver.present = True
    rig.until("ok")
    assert driver.history == [("brightness", 9)] * 2


SHARPNESS = Control("sharpness", "integer", 1, 9, 2, 3, 3)
HUE = Control("hue", "integer", 1, 10, 3, 1, 1)
CARELESS = Control("gain", "integer", 0, 10, 0, 0, 0)
"""A driver that names no step."""


@pytest.mark.parametrize(
    ("control", "allowed", "refused"),
    [
        (BRIGHTNESS, [-64, -63, 0, 63, 64], [-65, 65]),
        (ZOOM, [100, 110, 490, 500], [90, 101, 109, 495, 510]),
        (SHARPNESS, [1, 3, 9], [-1, 0, 2, 8, 10, 11]),  # steps are counted from the least value
        (HUE, [1, 4, 7, 10], [-2, 0, 2, 3, 5, 9, 13]),
        (CARELESS, [0, 1, 2, 9, 10], [-1, 11]),
        (EXPOSURE, [1, 3], [0, 2, 4]),  # of a menu only its entries, whatever its range
    ],
    ids=lambda value: value.name if isinstance(value, Control) else "",
)
def test_the_range_of_a_control_and_its_steps(control: Control, allowed: list[int], refused: list[int]) -> None:
    for value in allowed:
        assert check({control.name: value}, [control]) == {control.name: value}
    for value in refused:
        with pytest.raises(NotAllowed):
            check({control.name: value}, [control])


@pytest.mark.parametrize(
    ("wish", "controls", "said"),
    [
        ({"brightness": 65}, ALL, "brightness=65: it must be from -64 to 64"),
        ({"sharpness": 2}, [SHARPNESS], "sharpness=2: it must be from 1 to 9 in steps of 2"),
        ({"gain": 11}, [CARELESS], "gain=11: it must be from 0 to 10"),
        ({"gain": 1}, [], "gain: the camera has no such control; it has none"),
    ],
)
def test_a_refusal_names_the_range_and_its_steps_where_there_are_any(
    wish: dict[str, int], controls: list[Control], said: str
) -> None:
    with pytest.raises(NotAllowed) as caught:
        check(wish, controls)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"gain": 1, "focus": "x", "zoom": []}', "focus: it must be a whole number, true, false or null"),
        (b"[1]", 'the body must be one JSON object, like {"brightness": 10}'),
        (b"{", 'the body must be one JSON object, like {"brightness": 10}'),
    ],
)
def test_a_body_is_refused_with_the_first_name_that_is_wrong(body: bytes, said: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        read_wish(body)
    assert str(caught.value) == said


def test_truth_values_become_the_numbers_that_a_driver_takes() -> None:
    found = read_wish(b'{"focus": true, "hdr": false, "gain": 7}')
    assert [type(value) for value in found.values()] == [int, int, int]


def test_numbers_keep_their_order_behind_the_modes_and_unknown_names_go_with_the_modes() -> None:
    wish = {"zoom_absolute": 100, "brightness": 1, "unknown": 2, "auto_exposure": 1}
    assert [name for name, _ in in_order(wish, ALL)] == ["unknown", "auto_exposure", "zoom_absolute", "brightness"]


def test_the_file_is_small_and_can_be_read_by_a_person(tmp_path: Path) -> None:
    saved = SavedValues(tmp_path / "missing" / "state")
    assert saved.update("C920", {"brightness": 1}) is True
    assert saved.update("C920", {"gain": None}) is True
    written = (tmp_path / "missing" / "state" / "controls.json").read_text()
    assert written == '{\n "C920": {\n  "brightness": 1\n }\n}'


def test_what_was_chosen_cannot_be_changed_from_outside(tmp_path: Path) -> None:
    saved = SavedValues(tmp_path)
    saved.update("C920", {"brightness": 1})
    saved.of("C920")["brightness"] = 2
    assert saved.of("C920") == {"brightness": 1}


def test_a_file_that_cannot_be_read_is_said_and_nothing_is_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "controls.json").mkdir()
    assert SavedValues(tmp_path).of("C920") == {}
    said = capsys.readouterr().out
    assert said.count("saved controls are ignored") == 1
    assert "Is a directory" in said


def test_a_first_start_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert SavedValues(tmp_path).of("C920") == {}
    assert capsys.readouterr().out == ""
