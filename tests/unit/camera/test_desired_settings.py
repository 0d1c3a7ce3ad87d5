"""What the cloud wants of the camera is kept until a camera has it, and said of each setting as it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.camera.conftest import BRIGHTNESS, MakeRig, Rig, ScriptedDriver, Web
from visant_camera.desired_settings import DesiredSettings


async def put(web: Web, values: dict[str, Any]) -> dict[str, str]:
    answer = await web.put("/controls", json=values)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["settings"])


async def test_each_setting_is_told_apart(web: Web, driver: ScriptedDriver) -> None:
    became = await put(web, {"brightness": 7, "night": "auto", "gain": 3})
    assert became == {"brightness": "applied", "night": "unknown", "gain": "unknown"}
    assert (await web.get("/controls")).json()["controls"][0]["value"] == 7
    assert (await web.get("/state")).json()["settings"] == became


@pytest.mark.parametrize("value", [5000, "bright", 1.5, [], {}])
async def test_one_that_does_not_fit_is_refused_and_the_others_are_applied(
    web: Web, driver: ScriptedDriver, value: Any
) -> None:
    became = await put(web, {"brightness": value, "other": 1})
    assert became["brightness"].startswith("refused: brightness")
    assert became["other"] == "unknown"


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", json.dumps(dict.fromkeys(map(str, range(101)))).encode()])
async def test_what_is_no_object_of_settings_is_refused(web: Web, body: bytes) -> None:
    assert (await web.put("/controls", content=body)).status_code == 422


def test_settings_for_an_absent_camera_wait_over_a_restart_and_are_applied_when_one_opens(
    make_rig: MakeRig, driver: ScriptedDriver, tmp_path: Path
) -> None:
    DesiredSettings(tmp_path).replace({"brightness": 9, "night": 1})
    desired = DesiredSettings(tmp_path)
    assert desired.became() == {"brightness": "waiting", "night": "waiting"}
    driver.settable = {"brightness": BRIGHTNESS}
    driver.present = False
    rig = make_rig(on_open=lambda driver, opened: desired.apply(driver))
    rig.until("camera_absent")
    driver.present = True
    rig.until("ok")
    assert desired.became() == {"brightness": "applied", "night": "unknown"}
    driver.present = False
    rig.until("camera_absent")
    driver.name, driver.settable = "Another", {"brightness": BRIGHTNESS}
    driver.present = True
    rig.until("ok")
    assert driver.history == [("brightness", 9)] * 2, "whichever camera it is"


async def test_settings_put_while_no_camera_is_there_are_taken(web: Web, rig: Rig, driver: ScriptedDriver) -> None:
    driver.present = False
    rig.until("camera_absent")
    assert await put(web, {"brightness": 7}) == {"brightness": "waiting"}
    assert await put(web, {"contrast": 7}) == {"contrast": "waiting"}, "newer settings take the place of older ones"


async def test_of_two_words_about_one_setting_the_newer_one_counts(
    web: Web, driver: ScriptedDriver, tmp_path: Path
) -> None:
    await put(web, {"brightness": 7})
    await web.patch("/controls", json={"brightness": 3})
    assert (await web.get("/state")).json()["settings"] == {}
    assert DesiredSettings(tmp_path).became() == {}
    assert await put(web, {"brightness": 8}) == {"brightness": "applied"}
    assert driver.history == [("brightness", 7), ("brightness", 3), ("brightness", 8)]


@pytest.mark.parametrize("content", ["nonsense", "[]", "\udcff"])
def test_a_damaged_file_is_kept_and_the_service_starts(tmp_path: Path, content: str) -> None:
    (tmp_path / "desired.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    desired = DesiredSettings(tmp_path)
    assert desired.became() == {}
    assert (tmp_path / "desired.damaged").exists()
    desired.replace({"a": 1})
    assert DesiredSettings(tmp_path).became() == {"a": "waiting"}


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    desired = DesiredSettings(tmp_path / "file" / "state")
    desired.replace({"a": 1})
    assert desired.became() == {"a": "waiting"}
    assert "last until a restart" in capsys.readouterr().out
