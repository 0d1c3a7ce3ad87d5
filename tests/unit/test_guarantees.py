"""docs/guarantees.md names every scenario of `make faults`, and every reason that they let a trigger end with."""

import fnmatch
import re
from pathlib import Path

import tests.faults.__main__  # noqa: F401 - every scenario adds itself
from tests.faults.kills import kill_points
from tests.faults.scenario import SCENARIOS

TEXT = (Path(__file__).parents[2] / "docs/guarantees.md").read_text()
NAMED = re.findall(r"`([a-z0-9_*]+)`", TEXT)


def test_each_scenario_is_named_and_no_name_stands_for_none() -> None:
    known = SCENARIOS
    assert [one for one in known if not any(fnmatch.fnmatch(one, name) for name in NAMED)] == []
    starred = [name for name in NAMED if "*" in name]
    assert [name for name in starred if not fnmatch.filter(known, name)] == []


def test_the_reasons_that_scenarios_allow_are_those_of_the_page() -> None:
    table = TEXT.split("In the scenarios these appear, and no others:")[1].split("More come from")[0]
    allowed = {reason for one in SCENARIOS.values() for reason in one.allowed}
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == allowed


def test_every_kill_point_at_which_a_life_is_to_end_is_one_that_a_trigger_passes() -> None:
    cloud = ["capture_committed", "picture_stored", "picture_written"]
    assert kill_points("cloud") == cloud, "on the road? else its room belongs into kills._BESIDE"
