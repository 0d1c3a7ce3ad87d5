import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chance import Longest, Shortest
from visant_runtime.backoff import full_jitter, retry_after


@given(st.integers(0, 10**6), st.floats(0.001, 60), st.floats(0.001, 3600), st.integers())
def test_a_wait_is_never_negative_and_never_past_its_bound(attempt: int, base: float, cap: float, seed: int) -> None:
    wait = full_jitter(attempt, base=base, cap=cap, rng=Random(seed))
    assert 0 <= wait <= cap
    if attempt < 60:
        assert wait <= base * 2**attempt


def test_a_fleet_spreads_over_the_whole_interval() -> None:
    rng = Random(1)
    waits = [full_jitter(4, base=5, cap=30, rng=rng) for _ in range(1000)]
    per_tenth = [sum(1 for w in waits if 3 * i <= w < 3 * (i + 1)) for i in range(10)]
    assert min(per_tenth) > 50


DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
NEVER = "Mon, 01 Jan 99999999999 00:00:00 GMT"

numbers = st.integers(-1, 10**30)
dates = st.builds("Sun, {} Nov {} {}:{}:{} {}".format, numbers, numbers, numbers, numbers, numbers, st.text(max_size=9))
years = st.builds("Sun, 22 Nov {} 12:00:00 {}".format, numbers, st.sampled_from(["GMT", "", "+2359", "-99999999999"]))
header_values = st.text(max_size=20) | dates | years


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "9" * 5000}, math.inf),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT", "date": DATE}, 30),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30", "date": DATE}, None),
        ({"retry-after": NEVER, "date": DATE}, None),
        ({"retry-after": DATE, "date": NEVER}, None),
        *(({"retry-after": value}, None) for value in ("", "soon", "-5", "1.5", "²")),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(header_values, header_values)
def test_whatever_stands_in_retry_after_is_a_wait_or_none(value: str, date: str) -> None:
    assert (retry_after({"retry-after": value, "date": date}) or 0.0) >= 0.0


@pytest.mark.parametrize(
    ("attempt", "most"), [(0, 5.0), (1, 10.0), (2, 20.0), (3, 30.0), (62, 30.0), (64, 30.0), (10**9, 30.0)]
)
def test_the_longest_wait_doubles_up_to_its_cap_and_the_shortest_is_none(attempt: int, most: float) -> None:
    assert full_jitter(attempt, base=5.0, cap=30.0, rng=Longest()) == most
    assert full_jitter(attempt, base=5.0, cap=30.0, rng=Shortest()) == 0.0


def test_a_base_above_the_cap_is_cut_at_once() -> None:
    assert full_jitter(0, base=60.0, cap=30.0, rng=Longest()) == 30.0


def test_no_number_of_attempts_is_too_large_for_a_float() -> None:
    assert full_jitter(10**9, base=3600.0, cap=1e300, rng=Longest()) < 1e300
