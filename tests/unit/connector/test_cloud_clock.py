import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_connector.cloud_clock import SAMPLES, STRAYED, WINDOW, CloudClock

TRUE = 1_795_000_000.0
"""Epoch seconds of the cloud at boottime 0."""


def seconds(expected: float) -> object:
    """To the 10 us that a float of this size holds; pytest's own tolerance, a millionth, would be half an hour."""
    return pytest.approx(expected, abs=1e-5)


def test_without_a_word_of_the_cloud_nothing_is_known() -> None:
    clock = CloudClock()
    assert clock.offset is None
    assert clock.at(TRUE) is None
    assert not clock.strayed()


def test_the_smallest_lag_counts() -> None:
    clock = CloudClock()
    for now, lag in ((10.0, 0.4), (30.0, 0.05), (50.0, 2.0)):
        clock.heard(TRUE + now - lag, now)
    assert clock.offset == seconds(TRUE - 0.05)
    assert clock.at(TRUE + 100) == pytest.approx(100.05)


@given(st.lists(st.tuples(st.floats(0.01, 60), st.floats(0, 25)), min_size=1, max_size=200))
def test_the_offset_is_never_too_large_and_never_worse_than_the_newest_word(steps: list[tuple[float, float]]) -> None:
    clock, now = CloudClock(), 0.0
    for step, lag in steps:
        now += step
        clock.heard(TRUE + now - lag, now)
        assert clock.offset is not None
        assert TRUE - lag - 1e-6 <= clock.offset <= TRUE + 1e-6


def test_an_old_word_is_forgotten_so_that_drifting_crystals_do_no_harm() -> None:
    clock = CloudClock()
    clock.heard(TRUE + 10, 10.0)
    clock.heard(TRUE + 10 + WINDOW + 1 - 3, 10 + WINDOW + 1)
    assert clock.offset == seconds(TRUE - 3)


def test_memory_is_bounded_however_fast_the_pings_come() -> None:
    clock = CloudClock()
    for n in range(10 * SAMPLES):
        clock.heard(TRUE + n / 1000, n / 1000)
    assert len(clock._samples) == SAMPLES


def test_a_clock_set_forward_is_believed_at_once() -> None:
    clock = CloudClock()
    clock.heard(TRUE + 10, 10.0)
    clock.heard(TRUE + 3600 + 20, 20.0)
    assert clock.offset == seconds(TRUE + 3600)


def test_a_clock_set_back_shows_as_straying_and_the_next_answer_puts_it_right() -> None:
    clock = CloudClock()
    clock.answered(TRUE + 10, asked=9.9, arrived=10.0)
    clock.heard(TRUE - 3600 + 30, 30.0)
    assert clock.strayed()
    assert clock.offset == seconds(TRUE)
    clock.answered(TRUE - 3600 + 31, asked=30.9, arrived=31.0)
    assert clock.offset == seconds(TRUE - 3600)
    assert not clock.strayed()


def test_a_slow_answer_takes_nothing_from_a_better_word_of_before() -> None:
    clock = CloudClock()
    clock.answered(TRUE + 10, asked=9.9, arrived=10.0)
    clock.answered(TRUE + 25, asked=20.0, arrived=50.0)  # 30 s in a proxy that collects
    assert clock.offset == seconds(TRUE)


def test_words_that_are_a_little_late_do_not_stray() -> None:
    clock = CloudClock()
    clock.heard(TRUE + 10, 10.0)
    clock.heard(TRUE + 20 - STRAYED + 1, 20.0)
    assert not clock.strayed()


@pytest.mark.parametrize(("age", "offset"), [(600.0, 0.0), (600.1, -3.0)])
def test_a_word_counts_for_ten_minutes(age: float, offset: float) -> None:
    clock = CloudClock()
    clock.heard(TRUE + 10, 10.0)
    clock.heard(TRUE + 10 + age - 3, 10 + age)
    assert clock.offset == seconds(TRUE + offset)


def test_all_words_that_are_too_old_go_at_once() -> None:
    clock = CloudClock()
    clock.heard(TRUE + 10, 10.0)
    clock.heard(TRUE + 20 - 0.5, 20.0)
    clock.heard(TRUE + 1000 - 3, 1000.0)
    assert clock.offset == seconds(TRUE - 3)


def test_sixty_four_words_are_kept() -> None:
    clock = CloudClock()
    clock.heard(TRUE, 0.0)
    for n in range(63):
        clock.heard(TRUE - 5, float(n) / 1000)
    assert clock.offset == seconds(TRUE)
    clock.heard(TRUE - 5, 1.0)
    assert clock.offset == seconds(TRUE - 5)


@pytest.mark.parametrize(("lag", "strayed"), [(0.0, False), (29.0, False), (30.0, False), (30.5, True)])
def test_half_a_minute_of_lag_is_more_than_a_healthy_stream_shows(lag: float, strayed: bool) -> None:
    clock = CloudClock()
    clock.heard(1024.0, 0.0)
    clock.heard(1024.0 + 20, 20.0)
    clock.heard(1024.0 + 40 - lag, 40.0)
    assert clock.strayed() is strayed
    clock.heard(1024.0 + 60, 60.0)
    assert not clock.strayed(), "the newest word counts"


@pytest.mark.parametrize(("too_large", "kept"), [(0.0, True), (1.0, True), (1.5, False), (3600.0, False)])
def test_an_answer_disproves_an_offset_that_is_more_than_a_second_too_large(too_large: float, kept: bool) -> None:
    """The cloud wrote its answer after it was asked: its clock cannot have shown more than that."""
    clock = CloudClock()
    clock.heard(1024.0 + too_large, 0.0)
    clock.answered(1024.0 + 100, asked=100.0, arrived=102.0)
    assert clock.offset == (1024.0 + too_large if kept else 1022.0)


def test_an_answer_leaves_memory_bounded() -> None:
    clock = CloudClock()
    for n in range(3 * SAMPLES):
        clock.answered(TRUE + n / 1000, asked=n / 1000, arrived=n / 1000)
    assert len(clock._samples) == SAMPLES
