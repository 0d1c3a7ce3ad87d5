from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_connector.reconnect import (
    AT_ONCE,
    CAP,
    RETRY_AFTER_CAP,
    Reconnect,
    refused_wait,
    silence_limit,
)


class Longest(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def waits(policy: Reconnect, count: int) -> list[float]:
    found = []
    for _ in range(count):
        found.append(policy.wait(Longest()))
        policy = policy.failed()
    return found


def test_the_first_attempt_comes_within_a_second_and_the_others_double_up_to_the_cap() -> None:
    assert waits(Reconnect(delay=5.0), 6) == [AT_ONCE, 5.0, 10.0, 20.0, CAP, CAP]


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
