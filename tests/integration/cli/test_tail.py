"""`visant tail`: what happens, as it happens."""

import pytest

from tests.integration.cli.conftest import Visant
from visant_cli.failure import ExitStatus

pytestmark = pytest.mark.usefixtures("cameras")


def test_what_happened_is_told_from_where_one_was(visant: Visant) -> None:
    visant("trigger", "CAM2", "--wait")
    told = visant("tail", "--types", "trigger.*", "--device", "CAM2", "--after", 0, "--limit", 2, "--json")
    assert told.status == ExitStatus.DONE, told.err
    assert [event["type"] for event in told.lines] == ["trigger.created", "trigger.ended"]
    first = told.lines[0]["id"]
    after = visant("tail", "--types", "trigger.*", "--device", "CAM2", "--after", first, "--limit", 1, "--json")
    assert after.lines[0]["id"] == told.lines[1]["id"]
    words = visant("tail", "--device", "CAM2", "--after", first, "-n", 1)
    assert "trigger.ended\tCAM2" in words.out
    assert visant("tail", "--types", "no.such").status == ExitStatus.USAGE
