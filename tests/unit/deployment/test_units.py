"""What is put outside /opt/visant, and that uninstall.sh hears of it first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from visantctl.host import units
from visantctl.host.log import Log
from visantctl.host.place import Place

DEPLOYMENT = Path(__file__).resolve().parents[3] / "deployment"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A device with one release, on a host without systemd."""
    monkeypatch.setenv("VISANT_HOST_ROOT", str(tmp_path / "host"))
    monkeypatch.setattr(units, "systemctl", lambda *_words, **_more: False)
    place = Place(tmp_path / "visant", tmp_path / "update.log", tmp_path / "host/units")
    place.prepare()
    place.release("1.0.0").mkdir()
    (place.release("1.0.0") / "deployment").symlink_to(DEPLOYMENT)
    (place.root / "current").symlink_to("releases/1.0.0")
    return place


def added(place: Place) -> list[str]:
    return (place.state / "install/added").read_text().splitlines()


def test_all_files_are_put_in_place_once_and_remembered(place: Place) -> None:
    changed = units.install(place, "1.0.0")
    assert {one.name for one in changed} == {*units.INSTALLED, "visant-update", "visantctl", "deployment"}
    assert added(place) == [f"file {one}" for one in changed]
    assert place.outside("usr/local/bin/visantctl").stat().st_mode & 0o777 == 0o755
    assert (place.root / "deployment/install_device.sh").is_file()
    assert units.install(place, "1.0.0") == []


def test_a_release_from_before_a_unit_is_installed_without_it(place: Place, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(DEPLOYMENT / "systemd", old / "systemd")
    shutil.copytree(DEPLOYMENT / "bin", old / "bin")
    (old / "systemd" / units.ASKED).unlink()
    (place.release("1.0.0") / "deployment").unlink()
    (place.release("1.0.0") / "deployment").symlink_to(old)
    assert place.units / units.HEED in units.install(place, "1.0.0")
    assert not (place.units / units.ASKED).exists()
    assert units.differing(place, "1.0.0") == []


def test_a_changed_file_is_put_right_and_what_was_there_before_us_is_not_called_ours(place: Place) -> None:
    unit = place.units / units.DEVICE
    unit.parent.mkdir(parents=True)
    unit.write_text("somebody else's\n")
    changed = units.install(place, "1.0.0")
    assert unit in changed
    assert f"file {unit}" not in added(place)
    unit.write_text("edited\n")
    assert units.install(place, "1.0.0") == [unit]


def test_an_update_adds_the_unit_that_keeps_a_disabled_device_stopped_unless_it_is_masked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(units, "systemctl", lambda *words, **_more: said.append(words))
    added_unit, log = place.units / units.DISABLED, Log(place.log)
    units.refresh(place, "1.0.0", log)
    assert not added_unit.exists(), "no device was installed here"
    units.install(place, "1.0.0")
    assert ("enable", "--quiet", units.DISABLED) in said
    added_unit.unlink()
    said.clear()
    units.refresh(place, "1.0.0", log)
    assert added_unit.read_bytes() == (DEPLOYMENT / "systemd" / units.DISABLED).read_bytes()
    assert said == [("daemon-reload",), ("enable", "--quiet", units.DISABLED)]
    added_unit.unlink()
    added_unit.symlink_to("/dev/null")
    units.refresh(place, "1.0.0", log)
    assert added_unit.is_symlink()


def test_a_unit_that_was_edited_or_deleted_is_found_and_a_masked_one_is_left(place: Place) -> None:
    units.install(place, "1.0.0")
    assert units.differing(place, "1.0.0") == []
    (place.units / units.DEVICE).write_text("edited\n")
    (place.units / units.DISABLED).unlink()
    (place.units / units.TIMER).unlink()
    (place.units / units.TIMER).symlink_to("/dev/null")
    assert units.differing(place, "1.0.0") == [place.units / units.DEVICE, place.units / units.DISABLED]
    units.install(place, "1.0.0")
    assert units.differing(place, "1.0.0") == []
