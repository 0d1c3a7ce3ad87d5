"""Copies of the newest pictures for a person to look at."""

from datetime import timedelta
from pathlib import Path

from tests.unit.uploader.conftest import Make
from visant_uploader.capture.debug_frames import KEPT, DebugFrames


def test_the_newest_hundred_debug_copies_are_kept_whatever_the_clock_does(make: type[Make], tmp_path: Path) -> None:
    frames = DebugFrames(tmp_path / "frames")
    for number in range(KEPT + 20):
        back = timedelta(days=number)  # each picture seems to be older than the one before
        frames.save(b"%d" % number, make.noon - back, f"t/{number}")
    kept = {path.read_bytes() for path in (tmp_path / "frames").glob("*.jpg")}
    assert kept == {b"%d" % number for number in range(20, KEPT + 20)}
    DebugFrames(None).save(b"x", make.noon, "t")
