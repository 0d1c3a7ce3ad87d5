"""Exposure times of network frames."""

from typing import Any

import pytest

from visant_camera.drivers.opencv.process.stream_clock import WINDOW, StreamClock


def test_a_steady_stream_is_stamped_at_its_arrival() -> None:
    clock = StreamClock()
    assert [clock.exposed(t / 30, 100 + t / 30) for t in range(3)] == pytest.approx([100, 100 + 1 / 30, 100 + 2 / 30])


def test_a_backlog_after_a_hiccup_is_stamped_in_the_past() -> None:
    clock = StreamClock()
    for t in range(60):
        clock.exposed(t / 30, 100 + t / 30)
    burst = [clock.exposed(t / 30, 105.0) for t in range(60, 120)]  # four seconds' frames at once
    assert burst == pytest.approx([100 + t / 30 for t in range(60, 120)])


def test_jitter_is_taken_out() -> None:
    clock = StreamClock()
    clock.exposed(0.0, 50.0)
    assert clock.exposed(1.0, 51.2) == pytest.approx(51.0)


def test_no_frame_is_stamped_in_the_future() -> None:
    clock = StreamClock()
    clock.exposed(0.0, 50.0)
    assert clock.exposed(9.0, 51.0) <= 51.0


def test_a_camera_clock_that_runs_slow_does_not_pull_the_stamps_into_the_past() -> None:
    """0.1 ms a second for a day is 8.6 s; the error has to stay below a few windows' worth."""
    clock = StreamClock()
    worst = 0.0
    for second in range(24 * 3600):
        arrival = 1000.0 + second
        worst = max(worst, arrival - clock.exposed(second * (1 - 1e-4), arrival))
    assert worst <= 2 * WINDOW * 1e-4 + 1e-6


def test_timestamps_that_run_back_start_anew() -> None:
    clock = StreamClock()
    clock.exposed(500.0, 100.0)
    assert clock.exposed(0.0, 101.0) == 101.0


@pytest.mark.parametrize(("seconds", "stamp"), [(29.0, 129.0), (30.0, 130.0), (59.0, 159.0), (60.0, 160.5)])
def test_the_smallest_delay_is_remembered_for_one_to_two_half_minutes(seconds: Any, stamp: Any) -> None:
    """Counted in windows of 30 s, the older of which is dropped: by then the camera's clock has drifted by 3 ms."""
    clock = StreamClock()
    clock.exposed(0.0, 100.0)
    for second in range(1, int(seconds)):
        clock.exposed(float(second), 100.5 + second)
    assert clock.exposed(seconds, 100.5 + seconds) == stamp


def test_frames_with_the_same_timestamp_are_one_moment() -> None:
    clock = StreamClock()
    clock.exposed(5.0, 50.0)
    assert clock.exposed(5.0, 53.0) == 50.0


def test_timestamps_that_run_back_forget_both_windows() -> None:
    clock = StreamClock()
    for second in range(40):
        clock.exposed(500.0 + second, 100.0 + second)
    assert clock.exposed(0.0, 140.0) == 140.0
    assert clock.exposed(1.0, 143.0) == 141.0
