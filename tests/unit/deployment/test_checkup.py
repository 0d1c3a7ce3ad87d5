"""Every file in doctor/checks/ is a check, and one that cannot be made hides none of the others."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from visantctl import cli
from visantctl.doctor import checks
from visantctl.doctor.checkup import all_checks, checkup
from visantctl.errors import Problem
from visantctl.host.engine import Engine
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.updates.ledger import Ledger
from visantctl.wiring import Device

DROPPED = """
from visantctl.doctor.finding import good

ORDER = {order}

def check(device):
    yield good("dropped", f"seen on {{device.settings.device_id}}")
    {then}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder with checks."""
    made = tmp_path / "checks"
    made.mkdir()
    monkeypatch.setattr(checks, "__path__", [str(made)])
    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        if name.startswith(f"{checks.__name__}."):
            del sys.modules[name]
            delattr(checks, name.rpartition(".")[2])


@pytest.fixture
def device(tmp_path: Path) -> Device:
    place = Place(tmp_path, tmp_path / "log", tmp_path / "units")
    return Device(place, Settings(device_id="A1"), Engine(), Ledger(place), Log(place.log))


def drop(folder: Path, name: str, order: int = 5, then: str = "") -> None:
    (folder / f"{name}.py").write_text(DROPPED.format(order=order, then=then))


def test_a_file_that_is_dropped_into_the_folder_is_a_check(folder: Path, device: Device) -> None:
    drop(folder, "dropped_here")
    assert [one.text for one in checkup(device)] == ["seen on A1"]


def test_a_lower_order_comes_first_and_then_the_name(folder: Path) -> None:
    for name, order in (("dropped_c", 1), ("dropped_a", 2), ("dropped_b", 2)):
        drop(folder, name, order)
    assert [name for name, _ in all_checks()] == ["dropped_c", "dropped_a", "dropped_b"]


@pytest.mark.parametrize(
    ("raised", "level", "said"),
    [
        ("OSError('no such device')", "WARN", "could not be checked: no such device"),
        ("ZeroDivisionError()", "WARN", "could not be checked: ZeroDivisionError"),
        ("Problem('not here')", "FAIL", "not here"),
    ],
)
def test_a_check_that_raises_is_said_and_the_others_go_on(
    folder: Path, device: Device, raised: str, level: str, said: str
) -> None:
    drop(folder, "dropped_bad", 1, f"from {Problem.__module__} import Problem; raise {raised}")
    drop(folder, "dropped_good", 2)
    found = list(checkup(device))
    assert [(one.check, one.level) for one in found] == [
        ("dropped", "PASS"),
        ("dropped_bad", level),
        ("dropped", "PASS"),
    ]
    assert found[1].text == said
    assert found[1].remedy


def test_an_update_is_not_switched_to_where_one_of_its_checks_cannot_be_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISANT_ROOT", str(tmp_path))
    assert cli.main(["selftest"]) == 0
    (folder / "dropped_broken.py").write_text("import no_such_module")
    with pytest.raises(ModuleNotFoundError):
        cli.main(["selftest"])


@pytest.mark.parametrize("name", [name for name, _ in all_checks()])
def test_each_check_keeps_to_the_protocol(name: str) -> None:
    module = dict(all_checks())[name]
    assert isinstance(module.ORDER, int)
    assert module.__doc__
    assert list(inspect.signature(module.check).parameters) == ["device"]
    assert inspect.isgeneratorfunction(module.check)


def test_what_explains_comes_before_what_it_explains() -> None:
    names = [name for name, _ in all_checks()]
    told = ["settings", "docker", "release", "units", "camera", "network", "stream", "spool", "updates", "disk", "card",
            "power", "heat", "memory", "wifi", "tailscale"]  # fmt: skip
    assert [name for name in names if name in told] == told
    assert len({module.ORDER for _, module in all_checks()}) == len(names), "two with the same order: which is first?"
