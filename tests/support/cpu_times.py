"""`python -m pytest -p tests.support.cpu_times ...`: the tests that cost most CPU, and those that waited longest.

`--durations` says how long a test took, on a busy machine mostly for others' sake; this says what it used: its own
process' CPU and that of every child that was waited for meanwhile, and for how long it slept: neither ran nor stood in
the queue for a core. CPU_TIMES=file gets all of them, tab separated.
"""

import os
import resource
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

SHOWN = 40
_schedstat = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
"""Of the main thread: ns on a core, ns in the queue for one (Linux, sched-stats.rst). Open, whatever a test denies."""
_before = [0.0, 0.0, 0.0]
_spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
"""By test: seconds of CPU in this process, of CPU in its children, and asleep."""


def _used() -> list[float]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    awake = sum(int(word) for word in os.pread(_schedstat, 100, 0).split()[:2]) / 1e9
    return [own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime, time.monotonic() - awake]


def pytest_runtest_logstart() -> None:
    """A test begins."""
    global _before
    _before = _used()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What its set-up, call or teardown used travels with its report, also between processes."""
    global _before
    report = yield
    now = _used()
    report.used = [after - before for after, before in zip(now, _before, strict=True)]  # type: ignore[attr-defined]
    _before = now
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds it up, in the process that prints."""
    for index, seconds in enumerate(getattr(report, "used", ())):
        _spent[report.nodeid][index] += seconds


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables."""
    if name := os.environ.get("CPU_TIMES"):
        rows = sorted(
            f"{own:.3f}\t{children:.3f}\t{slept:.3f}\t{test}\n" for test, (own, children, slept) in _spent.items()
        )
        Path(name).write_text("".join(rows))
    for title, indices in (("CPU, children's included", (0, 1)), ("asleep", (2,))):
        seconds = {test: sum(spent[index] for index in indices) for test, spent in _spent.items()}
        terminalreporter.write_sep("=", f"{title}: {sum(seconds.values()):.0f} s")
        for test in sorted(seconds, key=seconds.__getitem__, reverse=True)[:SHOWN]:
            terminalreporter.write_line(f"{seconds[test]:7.2f} s  {test}")
