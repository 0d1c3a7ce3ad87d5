"""What a service says that it used of its network."""

from pathlib import Path

from visant_contract.telemetry import NetworkUse
from visant_runtime.clock import Clock
from visant_runtime.device.network_use import NetworkMeter

HEAD = "Inter-|   Receive                            |  Transmit\n face |bytes    packets errs drop fifo frame ...\n"


class Stopwatch(Clock):
    """CLOCK_BOOTTIME as a test sets it."""

    now = 1000.0

    def boottime(self) -> float:
        return self.now


def counters(file: Path, **interfaces: tuple[int, int]) -> None:
    lines = [f"{name:>6}:{got:8} 1 0 0 0 0 0 0 {sent:8} 1 0 0 0 0 0 0\n" for name, (got, sent) in interfaces.items()]
    file.write_text(HEAD + "".join(lines))


def test_it_is_what_came_and_went_since_the_start_without_loopback(tmp_path: Path) -> None:
    file, clock = tmp_path / "dev", Stopwatch()
    counters(file, lo=(10**9, 10**9), eth0=(5000, 700), wwan0=(100, 10))
    meter = NetworkMeter(clock, file)
    counters(file, lo=(3 * 10**9, 3 * 10**9), eth0=(5300, 720), wwan0=(150, 15))
    clock.now += 60
    assert meter.used() == NetworkUse(seconds=60, received_bytes=350, sent_bytes=25)


def test_an_interface_that_is_taken_away_makes_no_negative_figure(tmp_path: Path) -> None:
    file = tmp_path / "dev"
    counters(file, eth0=(5000, 700))
    meter = NetworkMeter(Stopwatch(), file)
    counters(file, lo=(1, 1))
    assert meter.used() == NetworkUse(seconds=0, received_bytes=0, sent_bytes=0)


def test_a_machine_that_does_not_count_says_nothing(tmp_path: Path) -> None:
    assert NetworkMeter(Stopwatch(), tmp_path / "missing").used() is None
    (tmp_path / "dev").write_text(HEAD + "eth0: what\n")
    assert NetworkMeter(Stopwatch(), tmp_path / "dev").used() is None


def test_this_kernels_table_is_read() -> None:
    assert NetworkMeter(Clock()).used() is not None
