"""The cloud's time follows a step of the wall clock only where it lasts."""

from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from visant_cloud.step_filter import STEPOUT, StepFilter

BEGIN = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Machine:
    """Its clocks."""

    def __init__(self) -> None:
        self.uptime = 1000.0
        self.off = timedelta()

    def wall(self) -> datetime:
        return BEGIN + timedelta(seconds=self.uptime - 1000.0) + self.off

    def elapsed(self) -> float:
        return self.uptime

    def true(self) -> datetime:
        """What a right clock would say."""
        return BEGIN + timedelta(seconds=self.uptime - 1000.0)


def test_a_step_of_ten_seconds_is_never_told_in_either_direction() -> None:
    for off in (DAY, -DAY, timedelta(days=365)):
        machine = Machine()
        now = StepFilter(machine.wall, machine.elapsed)
        for second in range(40):
            machine.off = off if 10 <= second < 20 else timedelta()
            machine.uptime += 1.0
            assert abs(now() - machine.true()) < timedelta(milliseconds=1), second


def test_a_step_that_lasts_is_followed_and_said_once_before_and_once_then() -> None:
    machine = Machine()
    now = StepFilter(machine.wall, machine.elapsed)
    machine.off = DAY
    with capture_logs() as lines:
        while now() < machine.true() + DAY / 2:
            machine.uptime += 0.5
    assert machine.uptime - 1000.0 == STEPOUT
    assert [one["by_seconds"] for one in lines] == [86400, 86400]
    machine.uptime += 0.5
    with capture_logs() as lines:
        assert now() == machine.wall()
    assert lines == []


def test_a_clock_that_is_set_again_before_it_was_believed_waits_anew() -> None:
    machine = Machine()
    now = StepFilter(machine.wall, machine.elapsed)
    for second in range(200):
        machine.off = DAY * (second // 50 + 1)
        machine.uptime += 1.0
        assert abs(now() - machine.true()) < timedelta(milliseconds=1), second


def test_a_clock_that_is_slewed_is_followed_at_each_look() -> None:
    machine = Machine()
    now = StepFilter(machine.wall, machine.elapsed)
    with capture_logs() as lines:
        for _ in range(1000):
            machine.uptime += 1.0
            machine.off += timedelta(milliseconds=80)  # chrony's maxslewrate
            assert now() == machine.wall()
    assert lines == []


def test_a_clock_that_hops_writes_a_line_a_minute_at_most() -> None:
    machine = Machine()
    now = StepFilter(machine.wall, machine.elapsed)
    with capture_logs() as lines:
        for second in range(300):
            machine.off = DAY * (second % 2)
            machine.uptime += 1.0
            assert abs(now() - machine.true()) < timedelta(milliseconds=1)
    assert 1 <= len(lines) <= 5


def test_a_process_that_starts_while_the_clock_is_wrong_has_the_databases_word() -> None:
    machine = Machine()
    machine.off = DAY
    with capture_logs() as lines:
        now = StepFilter(machine.wall, machine.elapsed, machine.true())
        for _ in range(20):
            machine.uptime += 1.0
            assert abs(now() - machine.true()) < timedelta(milliseconds=1)
        machine.off = timedelta()
        machine.uptime += 1.0
        assert now() == machine.true()
    assert [one["event"] for one in lines] == [
        "this machine's clock and the database's differ; this machine's is followed if it stays so"
    ]
