"""JSON on its way into the database and out of it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.commands.event_stream import event
from visant_cloud.database.json_values import MAX_DEPTH, clean, from_json, to_json
from visant_contract.command import UpdateConfigCommand

TEXT = st.text(st.characters())  # with half surrogate pairs
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


@given(st.recursive(st.none() | st.floats() | st.text() | st.integers(), st.lists))
def test_what_is_stored_as_json_is_json(value: Any) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(to_json(value), parse_constant=refuse)


@given(JSON)
def test_whatever_is_stored_is_read_such_that_a_stream_can_send_it(value: Any) -> None:
    read = from_json(to_json(value))
    event(UpdateConfigCommand(config={"a": read}))
    assert clean(read) == read and (clean(value) != value or read == value)


def test_what_lies_deep_is_cut_off_and_what_is_deep_enough_stays() -> None:
    deepest: Any = 7
    for _ in range(MAX_DEPTH):
        deepest = [deepest]
    assert clean(deepest) == deepest
    assert "7" not in to_json(from_json(to_json([deepest])))
