"""A changed state is told at once, and a flapping one seldom."""

from hypothesis import given
from hypothesis import strategies as st

from visant_uploader.change_pace import ChangePace

BURST, EVERY = 3, 60.0
waits = st.lists(st.floats(min_value=0.0, max_value=400.0, allow_nan=False), max_size=60)


@given(waits)
def test_in_no_span_of_time_are_more_told_than_the_burst_and_one_an_interval(waits: list[float]) -> None:
    pace, now, taken = ChangePace(BURST, EVERY), 1000.0, list[float]()
    for wait in waits:
        now += wait
        if pace.take(now):
            taken.append(now)
    for first, begin in enumerate(taken):
        for last, end in enumerate(taken[first:]):
            assert last + 1 <= BURST + (end - begin) / EVERY + 1e-6


@given(waits)
def test_after_an_interval_of_silence_one_may_be_told_whatever_was_before(waits: list[float]) -> None:
    pace, now = ChangePace(BURST, EVERY), 1000.0
    for wait in waits:
        now += wait
        pace.take(now)
    assert pace.take(now + EVERY + 1e-6)


def test_a_quiet_device_has_its_burst_and_no_more() -> None:
    pace = ChangePace(BURST, EVERY)
    assert [pace.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert not any(pace.take(10.0) for _ in range(100)), "asking again and again earns nothing"
    assert [pace.take(100_000.0) for _ in range(5)] == [True, True, True, False, False], "silence saves up no more"


def test_a_clock_that_goes_back_gives_nothing_and_breaks_nothing() -> None:
    pace = ChangePace(1, EVERY)
    assert pace.take(1000.0)
    assert not pace.take(10.0)
    assert pace.take(70.0)
