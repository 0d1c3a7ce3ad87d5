"""What `make bench` says of a figure."""

import json

import pytest

from tests.bench.__main__ import PARTS, chosen
from tests.bench.rows import Row, last_line, table


@pytest.mark.parametrize(
    ("row", "ratio", "met"),
    [
        (Row("a_ms", 30.0, floor=20.0, aim=1.5), 1.5, True),
        (Row("a_ms", 30.1, floor=20.0, aim=1.5), 1.5, False),
        (Row("a_bytes", 10e6, aim=10e6), None, True),
        (Row("a_bytes", 10_000_001, aim=10e6), None, False),
        (Row("a_mib", 3.0), None, None),
        (Row("a_ms", 3.0, floor=2.0), 1.5, None),
        (Row("a_bytes", 0.0, aim=1.0), None, True),
    ],
)
def test_an_aim_is_of_the_ratio_where_there_is_a_floor_and_is_a_most(
    row: Row, ratio: float | None, met: bool | None
) -> None:
    said = json.loads(last_line([row]))
    assert [list(one) for one in said] == [["name", "figure", "floor", "ratio", "aim", "met"]]
    assert (said[0]["met"], said[0]["ratio"]) == (met, pytest.approx(ratio, rel=0.01) if ratio else None)


def test_a_missed_aim_is_seen_in_the_table() -> None:
    lines = table([Row("good_ms", 1.0, aim=2.0), Row("bad_ms", 3.0, aim=2.0), Row("free_ms", 4.0)]).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["met", "MISSED", "4.0"]


def test_parts_are_chosen_by_name() -> None:
    assert list(chosen("")) == list(PARTS)
    assert list(chosen("idle, card")) == ["idle", "card"]
    with pytest.raises(SystemExit, match="no part cellar"):
        chosen("cellar")
