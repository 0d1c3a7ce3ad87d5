"""Copies of the newest pictures for a person to look at."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from tests.unit.uploader.conftest import Make
from visant_uploader.capture.debug_frames import KEPT, WAITING, DebugFrames
from visant_uploader.counters import Counters


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_the_newest_hundred_debug_copies_are_kept_whatever_the_clock_does(make: type[Make], tmp_path: Path) -> None:
    counters = Counters()
    frames = DebugFrames(tmp_path / "frames", counters)
    for number in range(KEPT + 20):
        back = timedelta(days=number)  # each picture seems to be older than the one before
        frames.save(b"%d" % number, make.noon - back, f"t/{number}")
        until(lambda number=number: counters.sums().get("debug_copies_saved") == number + 1)  # type: ignore[misc]
    kept = {path.read_bytes() for path in (tmp_path / "frames").glob("*.jpg")}
    assert kept == {b"%d" % number for number in range(20, KEPT + 20)}


def test_without_a_folder_nothing_is_done(make: type[Make]) -> None:
    counters = Counters()
    DebugFrames(None, counters).save(b"x", make.noon, "t")
    assert counters.sums() == {}


def test_a_medium_that_hangs_holds_up_nobody_and_what_it_does_not_take_is_counted(
    make: type[Make], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / ".newest")  # whoever opens it waits for a reader, for ever
    counters = Counters()
    frames = DebugFrames(tmp_path, counters)
    for number in range(50):
        frames.save(b"x", make.noon, f"t-{number}")
    dropped = counters.sums()["debug_copies_dropped"]
    assert 50 - WAITING - 1 <= dropped <= 50 - WAITING
    reader = os.open(tmp_path / ".newest", os.O_RDONLY)  # the medium is back
    try:
        until(lambda: counters.sums().get("debug_copies_saved") == 50 - dropped)
    finally:
        os.close(reader)
