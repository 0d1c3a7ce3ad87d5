from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chance import Longest, Shortest
from visant_connector.reconnect import (
    AT_ONCE,
    CAP,
    RETRY_AFTER_CAP,
    STEADY,
    Reconnect,
    refused_wait,
    silence_limit,
)


def waits(policy: Reconnect, count: int) -> list[float]:
    found = []
    for _ in range(count):
        found.append(policy.wait(Longest()))
        policy = policy.failed()
    return found


def test_the_first_attempt_comes_within_a_second_and_the_others_double_up_to_the_cap() -> None:
    assert waits(Reconnect(delay=5.0), 6) == [AT_ONCE, 5.0, 10.0, 20.0, CAP, CAP] == [1, 5, 10, 20, 30, 30]


def test_a_wait_may_be_as_short_as_nothing_so_that_a_fleet_spreads_over_all_of_it() -> None:
    assert [Reconnect(5.0, attempt).wait(Shortest()) for attempt in range(5)] == [0.0] * 5


def test_a_stream_counts_as_steady_after_half_a_minute() -> None:
    assert STEADY == 30


def test_a_steady_stream_starts_the_count_anew() -> None:
    policy = Reconnect(delay=5.0).failed().failed().failed()
    assert policy.wait(Longest()) > AT_ONCE
    assert policy.steady().wait(Longest()) == AT_ONCE


@given(st.integers(0, 10_000), st.floats(0.1, 30), st.integers())
def test_every_wait_is_bounded_however_long_the_cloud_is_away(attempt: int, delay: float, seed: int) -> None:
    assert 0 <= Reconnect(delay, attempt).wait(Random(seed)) <= CAP


@pytest.mark.parametrize(("asked", "least", "most"), [(10.0, 10.0, 11.0), (1e9, RETRY_AFTER_CAP, RETRY_AFTER_CAP + 1)])
def test_retry_after_is_obeyed_within_reason(asked: float, least: float, most: float) -> None:
    assert least <= Reconnect(5.0).wait(Random(1), retry_after=asked) <= most


@given(st.integers())
def test_a_refused_device_asks_at_most_once_a_minute(seed: int) -> None:
    assert 60 <= refused_wait(Random(seed)) <= 65


def test_a_server_that_closes_every_five_seconds_is_not_asked_in_a_storm() -> None:
    """Connections in one hour, each closed after 5 s: never steady, so the waits stay long."""
    rng, policy, now, connections = Random(7), Reconnect(5.0), 0.0, 0
    while now < 3600:
        connections += 1
        now += 5.0 + policy.wait(rng)
        policy = policy.failed()
    assert connections < 240


def test_silence_is_judged_by_the_pings_that_were_promised() -> None:
    assert silence_limit(70.0, None) == 70.0
    assert silence_limit(70.0, 20.0) == 40.0
    assert silence_limit(70.0, 100.0) == 200.0


@pytest.mark.parametrize(
    ("asked", "added"),
    [(-5.0, 0.0), (0.0, 0.0), (0.5, 0.5), (4.9, 4.9), (299.0, 299.0), (300.0, 300.0), (301.0, 300.0)],
)
@pytest.mark.parametrize("attempt", [0, 3])
def test_what_the_cloud_asks_for_comes_on_top_up_to_five_minutes(attempt: int, asked: float, added: float) -> None:
    """On top of the spread: else the fleet that was sent away comes back in one instant."""
    policy = Reconnect(5.0, attempt)
    for dice in (Shortest(), Longest()):
        assert policy.wait(dice, retry_after=asked) == policy.wait(dice) + added


@pytest.mark.parametrize(("asked", "spread"), [(4.9, CAP), (5.0, 2.5), (20.0, 10.0), (100.0, CAP)])
def test_a_cloud_that_names_a_time_is_asked_soon_after_it(asked: float, spread: float) -> None:
    """However often it could not be reached before: a fleet is not kept away by what lies behind it."""
    assert Reconnect(5.0, 10).wait(Longest(), retry_after=asked) == asked + spread


@given(st.floats(0.0, 4.9), st.integers())
def test_a_cloud_that_names_no_time_worth_its_name_is_not_asked_in_a_storm(asked: float, seed: int) -> None:
    rng, policy, now, connections = Random(seed), Reconnect(5.0), 0.0, 0
    while now < 3600:
        connections += 1
        now += policy.wait(rng, retry_after=asked)
        policy = policy.failed()
    assert connections < 400


def test_a_refused_device_asks_each_minute_and_up_to_five_seconds_later() -> None:
    assert (refused_wait(Shortest()), refused_wait(Longest())) == (60.0, 65.0)
