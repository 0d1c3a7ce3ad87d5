"""visantctl's folders are floors: each imports from those below it alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[3] / "deployment/visantctl"
FLOORS = ("host", "network", "releases", "updates", "service", "doctor", "migration", "fleet", "aim", "commands")
"""From the ground up. `errors`, `version` and `wiring` are the stairs."""


def test_every_folder_is_a_floor() -> None:
    assert {one.parent.name for one in HERE.glob("*/__init__.py")} == set(FLOORS)


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_from_those_below_it_alone(floor: str) -> None:
    text = "\n".join(file.read_text() for file in (HERE / floor).rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) visantctl\.(\w+)", text, re.MULTILINE)) & set(FLOORS)
    assert imported <= set(FLOORS[: FLOORS.index(floor) + 1])
