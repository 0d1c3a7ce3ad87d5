"""Every state of a stream and everything that may happen to it: where that leads, also where it leads nowhere."""

from itertools import product

import pytest

from visant_connector.session_state import SessionEvent as Event
from visant_connector.session_state import SessionState as State
from visant_connector.session_state import after

TABLE = """
                  ANSWERED    CONNECTED   PING_AGREED  GAP               UNFIT    STOPPED  OVER
CONNECTING        OPEN        -           -            LEAVING_UNPROVEN  LEAVING  LEAVING  ENDED
OPEN              -           CONFIRMED   -            LEAVING_UNPROVEN  LEAVING  LEAVING  ENDED
CONFIRMED         -           -           PROVEN       LEAVING_UNPROVEN  LEAVING  LEAVING  ENDED
PROVEN            -           -           -            LEAVING           LEAVING  LEAVING  ENDED
LEAVING           -           -           -            -                 -        -        ENDED
LEAVING_UNPROVEN  -           -           -            -                 -        -        ENDED
ENDED             -           -           -            -                 -        -        -
"""
"""A dash: nothing changes."""

_HEAD, *_ROWS = (line.split() for line in TABLE.strip().splitlines())
STEPS = [
    (State[row[0]], Event[event], State[row[0] if cell == "-" else cell])
    for row in _ROWS
    for event, cell in zip(_HEAD, row[1:], strict=True)
]


def test_the_table_is_whole() -> None:
    assert [(state, event) for state, event, _ in STEPS] == list(product(State, Event))


@pytest.mark.parametrize(
    ("state", "event", "following"), STEPS, ids=lambda value: value.name if isinstance(value, State | Event) else None
)
def test_a_step(state: State, event: Event, following: State) -> None:
    assert after(state, event) is following


def test_a_stream_that_is_left_is_not_joined_again() -> None:
    leaving = {state for state in State if state.leaving}
    assert leaving == {State.LEAVING, State.LEAVING_UNPROVEN}
    for state, event in product(leaving, Event):
        assert after(state, event) in {state, State.ENDED}
