"""How many days are left?"""

from visant_uploader.spool.fill_rate import DAY, FillRate, days_left


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
