"""What counts as a slot with a picture, and on which day."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cloud.test_stages import at, capture, trigger
from visant_cloud.store.slot_days import by_day, cause
from visant_cloud.store.slot_gaps import gap_of
from visant_cloud.views.ledger_export import _cell
from visant_cloud.views.ledger_json import percent


@pytest.mark.parametrize(
    ("picture", "gap"),
    [
        ({}, None),
        ({"received_at": at(120)}, None),
        ({"received_at": at(120.001)}, "late"),
        ({"captured_at": at(-1.5)}, "not_fresh"),
        ({"captured_at": at(-1.5), "uncertainty": 2.0}, None),
        ({"captured_at": at(-1.5), "uncertainty": None}, None),
        ({"captured_at": datetime(1970, 1, 1, tzinfo=UTC), "uncertainty": 1e300}, None),
    ],
)
def test_a_picture_counts_that_is_of_its_time_and_came_in_time(picture: dict[str, object], gap: str | None) -> None:
    assert gap_of(trigger(scheduled_for=at(0)), capture({}, **picture)) == gap
    assert gap_of(trigger(), capture({}, **picture)) is None, "of no slot"


def test_a_slot_has_one_cause() -> None:
    assert cause("executed", None, None) == "useful"
    assert cause("executed", None, "late") == "late"
    assert cause("failed", "camera_absent", None) == "failed: camera_absent"


@given(
    first=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    step=st.integers(1_000_000, 31 * 86_400_000_000),
    number=st.integers(1, 300),
)
def test_missed_slots_fall_on_the_days_they_were_due(first: datetime, step: int, number: int) -> None:
    moments = [first + timedelta(microseconds=step * place) for place in range(number)]
    each: dict[date, int] = {}
    for moment in moments:
        each[moment.date()] = each.get(moment.date(), 0) + 1
    assert by_day(first, moments[-1], number) == each


def test_a_month_of_slots_by_the_second_is_counted_at_once() -> None:
    first = datetime(2026, 11, 1, tzinfo=UTC)
    days = by_day(first, first + timedelta(days=30, seconds=-1), 30 * 86400)
    assert list(days.values()) == [86400] * 30


def test_a_hundred_percent_means_all() -> None:
    assert percent(99_999, 100_000) == 99.99 and percent(100_000, 100_000) == 100.0
    assert percent(1, 10**6) == 0.01 and percent(0, 5) == 0.0 and percent(0, 0) is None


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "＠x"])
def test_no_text_of_an_export_is_taken_for_a_formula(text: str) -> None:
    assert _cell(text) == f"'{text}"
    assert _cell("Zürich -1 = 門") == "Zürich -1 = 門" and _cell(-1.5) == -1.5 and _cell(None) is None
