"""What lies in the spool, what still fits, and for how many days?"""

from pathlib import Path

import pytest

from tests.unit.uploader.conftest import Make
from visant_uploader.spool.figures import DAY, Figures, FillRate, Limits, SpoolFull, days_left
from visant_uploader.spool.layout import Destination, Folders

HERE = Destination("cloud-1", "FLOOR1")


def test_a_picture_takes_its_room_once_while_it_is_written_and_once_when_it_is_there(tmp_path: Path) -> None:
    figures = Figures(Folders(tmp_path), Limits(max_bytes=5000, min_free_bytes=0))
    file = tmp_path / "unacknowledged" / "a.picture"
    with figures.booked(file, 3000):
        assert figures.contents().picture_bytes() == 0
        with pytest.raises(SpoolFull, match="3000 of SPOOL_MAX_BYTES=5000"), figures.booked(file, 3000):
            pass
    assert figures.contents().pictures[file.parent] == 1
    with pytest.raises(SpoolFull, match="3000 of SPOOL_MAX_BYTES=5000"), figures.booked(file, 3000):
        pass
    with figures.booked(file.with_name("b.picture"), 2000):
        pass
    assert figures.contents().picture_bytes() == 5000


def test_a_picture_that_was_not_written_takes_no_room(tmp_path: Path) -> None:
    figures = Figures(Folders(tmp_path), Limits(max_bytes=5000, min_free_bytes=0))
    for _ in range(3):
        with pytest.raises(OSError, match="broken"), figures.booked(tmp_path / "a.picture", 3000):
            raise OSError("broken")
    assert figures.contents().picture_bytes() == 0


def test_what_waits_for_this_cloud_is_told_apart_from_what_is_held_for_another(
    make: type[Make], tmp_path: Path
) -> None:
    spool = make.spool(tmp_path / "spool", max_bytes=1 << 20)
    spool.open()
    spool.put(make.picture("t-unacknowledged"), b"x" * 1000)
    spool.release(HERE, spool.put(make.picture("t-waits"), b"x" * 1000))
    spool.release(Destination("cloud-0", "FLOOR1"), spool.put(make.report("t-held", cloud_id="cloud-0")))
    health = spool.health(HERE, None)
    assert (health.pictures, health.reports, health.held) == (2, 0, 1)
    assert health.bytes == spool.figures.contents().picture_bytes() > 2000 and health.limit_bytes == 1 << 20
    assert health.oldest_age is not None and health.days_left is None
    assert (spool.health(None, None).pictures, spool.health(None, None).held) == (1, 2)
    full_in = spool.health(HERE, float(1 << 20)).days_left
    assert full_in is not None and 0.9 < full_in < 1


def test_nothing_is_said_before_ten_minutes_were_watched() -> None:
    rate = FillRate()
    rate.note(0, 0)
    rate.note(300, 5000)
    assert rate.bytes_a_day(300, 5000) is None


def test_one_picture_a_minute_of_300_kb_fills_eight_gib_in_nineteen_days() -> None:
    rate = FillRate()
    for minute in range(0, 120, 5):
        rate.note(minute * 60.0, minute * 300_000.0)
    a_day = rate.bytes_a_day(115 * 60, 115 * 300_000)
    assert a_day is not None and round(a_day) == 1440 * 300_000
    assert 19 < (days_left(8 << 30, a_day) or 0) < 20


def test_the_rate_is_that_of_the_last_day_only_and_memory_stays_small() -> None:
    rate = FillRate()
    total = 0.0
    for step in range(10 * 144):
        total += 0 if step < 9 * 144 else 1000
        rate.note(step * 600.0, total)
    a_day = rate.bytes_a_day(10 * 144 * 600.0, total)
    assert a_day is not None and abs(a_day - 144_000) < 3000
    assert len(rate._points) <= 146


def test_without_pictures_or_room_the_answer_stays_sensible() -> None:
    rate = FillRate()
    rate.note(0, 100)
    assert rate.bytes_a_day(DAY, 100) is None
    assert days_left(100, None) is None and days_left(-5, 10.0) == 0
