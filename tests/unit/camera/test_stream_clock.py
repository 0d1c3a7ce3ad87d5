"""Exposure times of network frames: by their stamps while these keep time, else by arrival."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from visant_camera.drivers.opencv.process.stream_clock import (
    ARRIVAL_LATE,
    BACKLOG,
    LATE_FOR,
    STEP,
    STILL,
    WINDOW,
    StreamClock,
    Trust,
)

RATE = 30


def play(clock: StreamClock, frames: Iterator[tuple[float, float]]) -> list[tuple[float, float, Trust]]:
    """Feeds (stamp, arrival) pairs; (exposed, arrival, trust) of each."""
    return [(clock.exposed(stamp, arrival), arrival, clock.trust) for stamp, arrival in frames]


def steady(
    seconds: float, begin: float = 100.0, stamp: Callable[[float], float] = lambda t: t, delay: float = 0.2
) -> Iterator[tuple[float, float]]:
    """A frame made at t arrives `delay` later, with `stamp(t)`; t counts from 0."""
    return ((stamp(t / RATE), begin + t / RATE + delay) for t in range(round(seconds * RATE)))


@pytest.fixture
def clock() -> StreamClock:
    """One that has seen three good seconds: frames made at 100 + t, stamped t, arriving 0.2 s later."""
    clock = StreamClock()
    play(clock, steady(3.0))
    assert clock.trust is Trust.STAMP
    return clock


def test_a_new_stream_is_believed_after_two_steps_that_agree() -> None:
    seen = play(StreamClock(), steady(4.0))
    believed = next(arrival for _, arrival, trust in seen if trust is Trust.STAMP)
    assert believed == pytest.approx(100.2 + 2 * STEP, abs=0.1)
    assert all(trust is Trust.UNKNOWN for _, arrival, trust in seen if arrival < believed)


def test_a_steady_stream_is_stamped_at_its_arrival(clock: StreamClock) -> None:
    assert clock.exposed(3.0, 103.2) == pytest.approx(103.2)


def test_a_backlog_after_a_hiccup_is_stamped_in_the_past(clock: StreamClock) -> None:
    burst = [clock.exposed(3 + t / 30, 108.0) for t in range(120)]  # four seconds' frames at once
    assert burst == pytest.approx([103.2 + t / 30 for t in range(120)])
    assert clock.trust is Trust.STAMP


def test_jitter_is_taken_out(clock: StreamClock) -> None:
    assert clock.exposed(3.0, 103.4) == pytest.approx(103.2)


def test_a_frame_that_was_delayed_less_than_all_before_is_the_new_measure(clock: StreamClock) -> None:
    assert clock.exposed(3.0, 103.1) == pytest.approx(103.1)
    assert clock.exposed(3.1, 103.4) == pytest.approx(103.2)


def test_stamps_that_say_for_ten_seconds_that_all_is_late_are_believed_no_more(clock: StreamClock) -> None:
    late = play(clock, ((3 + t / RATE, 104.2 + t / RATE) for t in range(12 * RATE)))
    assert all(trust is Trust.STAMP for _, arrival, trust in late if arrival < 113.0)
    assert next(arrival for _, arrival, trust in late if trust is Trust.UNKNOWN) == pytest.approx(113.2, abs=0.1)


def test_no_frame_is_stamped_in_the_future(clock: StreamClock) -> None:
    assert clock.exposed(50.0, 104.0) <= 104.0


def test_the_age_of_a_backlog_at_the_begin_is_unknown_until_it_has_caught_up() -> None:
    """40 s since the last key frame, sent at eight times their rate: no stamp tells how old the first ones are."""
    clock = StreamClock()
    burst = play(clock, ((t / RATE, 100.0 + t / RATE / 8) for t in range(40 * RATE)))
    assert {trust for *_, trust in burst} == {Trust.UNKNOWN}
    live = play(clock, ((40 + t / RATE, 105.0 + t / RATE) for t in range(5 * RATE)))
    assert live[-1][2] is Trust.STAMP
    assert (
        next(exposed - (65 + 40 + t / RATE) for t, (exposed, _, trust) in enumerate(live) if trust is Trust.STAMP)
        < 0.01
    )


def test_stamps_that_run_too_fast_are_no_backlog_for_ever() -> None:
    seen = play(StreamClock(), steady(BACKLOG + 5, stamp=lambda t: 2 * t))
    assert seen[-1][2] is Trust.ARRIVAL


def test_stamps_that_run_back_make_a_backlog_no_newer_than_it_is(clock: StreamClock) -> None:
    """Six seconds of old frames arrive at once, restamped from 0: each would pass for one that was made just now."""
    old = play(clock, ((t / RATE, 109.0 + t / RATE / 20) for t in range(6 * RATE)))
    assert {trust for *_, trust in old} == {Trust.UNKNOWN}
    live = play(clock, ((6 + t / RATE, 109.3 + t / RATE) for t in range(4 * RATE)))
    assert live[-1][2] is Trust.STAMP
    assert live[-1][0] == pytest.approx(live[-1][1])


def test_stamps_that_run_back_again_and_again_give_way_to_arrival() -> None:
    seen = play(StreamClock(), steady(10.0, stamp=lambda t: t % 0.7))
    assert all(trust is Trust.ARRIVAL for _, arrival, trust in seen if arrival > 100.2 + 4 * STEP)
    assert seen[-1][0] == seen[-1][1]


def test_a_stamp_that_stands_still_gives_way_to_arrival(clock: StreamClock) -> None:
    for _ in range(STILL - 1):
        assert clock.exposed(3.0, 103.3) == pytest.approx(103.2), "frames with one stamp are one moment"
    seen = play(clock, ((3.0, 103.4 + t / RATE) for t in range(5 * RATE)))
    assert seen[0][2] is Trust.UNKNOWN
    assert all(trust is Trust.ARRIVAL for _, arrival, trust in seen if arrival > 103.4 + 3 * STEP)
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("rate", [0.9, 0.6, 0.1])
def test_stamps_that_run_slow_give_way_to_arrival(rate: float) -> None:
    seen = play(StreamClock(), steady(60.0, stamp=lambda t: rate * t))
    assert all(trust is Trust.ARRIVAL for _, arrival, trust in seen if arrival > 100.2 + 3 * STEP)
    assert all(exposed == arrival for exposed, arrival, trust in seen if trust is Trust.ARRIVAL)


@pytest.mark.parametrize("rate", [0.97, 0.9, 0.6])
def test_stamps_that_begin_to_run_slow_are_believed_no_longer_than_a_while(clock: StreamClock, rate: float) -> None:
    seen = play(clock, steady(120.0, begin=103.0, stamp=lambda t: 3 + rate * t))
    worst = max(arrival - exposed for exposed, arrival, _ in seen)
    assert worst <= 0.5 + (LATE_FOR + STEP) * (1 - rate)
    assert Trust.UNKNOWN in {trust for *_, trust in seen}


def test_stamps_that_keep_time_again_are_believed_again() -> None:
    clock = StreamClock()
    play(clock, steady(20.0, stamp=lambda t: 0.6 * t))
    assert clock.trust is Trust.ARRIVAL
    seen = play(clock, steady(3.0, begin=120.0, stamp=lambda t: 12 + t))
    assert seen[-1][2] is Trust.STAMP
    assert seen[-1][0] == pytest.approx(seen[-1][1])


def test_a_hiccup_costs_the_stamps_no_trust(clock: StreamClock) -> None:
    late = play(clock, ((3 + t / RATE, 103.2 + t / RATE + min(4.0, t / RATE)) for t in range(5 * RATE)))
    assert {trust for *_, trust in late} == {Trust.STAMP}
    assert max(abs(exposed - (103.2 + t / RATE)) for t, (exposed, *_) in enumerate(late)) < 1e-6


def test_a_camera_clock_that_runs_slow_does_not_pull_the_stamps_into_the_past() -> None:
    """0.1 ms a second for a day is 8.6 s; the error has to stay below a few windows' worth."""
    clock = StreamClock()
    worst = 0.0
    for second in range(24 * 3600):
        arrival = 1000.0 + second
        worst = max(worst, arrival - clock.exposed(second * (1 - 1e-4), arrival))
    assert clock.trust is Trust.STAMP
    assert worst <= (2 * WINDOW + 2 * STEP) * 1e-4 + 1e-6


@pytest.mark.parametrize(("seconds", "late"), [(29.0, 0.03), (59.0, 0.03), (62.0, 0.0)])
def test_the_smallest_delay_is_remembered_for_one_to_two_half_minutes(
    clock: StreamClock, seconds: Any, late: Any
) -> None:
    """Counted in windows of 30 s, the older of which is dropped: by then the camera's clock has drifted by 3 ms."""
    seen = play(clock, steady(seconds, begin=103.0, stamp=lambda t: 3 + t, delay=0.23))
    assert seen[-1][1] - seen[-1][0] == pytest.approx(late)


def test_arrival_is_late_by_more_than_a_stream_may_be_silent() -> None:
    from visant_camera.settings import CameraSettings

    assert CameraSettings.model_fields["camera_stall_after"].default < ARRIVAL_LATE
