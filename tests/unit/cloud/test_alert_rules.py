"""What an organisation may choose: quiet hours, the summary's time, and choices of another version."""

from datetime import UTC, datetime, time
from typing import Any

import pytest

from visant_cloud.alerts.rules import DEFAULT, QuietHours, Rules, Summary, rules_of


@pytest.mark.parametrize(
    ("begin", "end", "hour", "quiet"),
    [
        (22, 6, 21, False),
        (22, 6, 22, True),
        (22, 6, 3, True),
        (22, 6, 6, False),
        (9, 17, 12, True),
        (9, 17, 8, False),
        (9, 17, 17, False),
        (5, 5, 5, False),
    ],
)
def test_quiet_hours_may_go_over_midnight(begin: int, end: int, hour: int, quiet: bool) -> None:
    assert QuietHours(begin=time(begin), end=time(end)).quiet(datetime(2026, 11, 22, hour, tzinfo=UTC)) is quiet


def test_quiet_hours_are_of_their_zone_in_summer_and_winter() -> None:
    night = QuietHours(begin=time(22), end=time(6), zone="Europe/Berlin")
    assert night.quiet(datetime(2026, 7, 1, 20, 0, tzinfo=UTC)) and not night.quiet(
        datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
    )
    assert night.quiet(datetime(2026, 12, 1, 21, 0, tzinfo=UTC)) and night.quiet(
        datetime(2026, 12, 1, 4, 30, tzinfo=UTC)
    )
    assert not night.quiet(datetime(2026, 12, 1, 20, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 11, 22, 5, 59, tzinfo=UTC), None),
        (datetime(2026, 11, 22, 6, 0, tzinfo=UTC), "2026-11-22"),
        (datetime(2026, 11, 22, 6, 59, tzinfo=UTC), "2026-11-22"),
        (datetime(2026, 11, 22, 7, 0, tzinfo=UTC), None),  # a cloud that was away tells none at noon
    ],
)
def test_a_summary_is_due_within_an_hour_of_its_time(now: datetime, day: str | None) -> None:
    assert Summary(at=time(7), zone="Europe/Berlin").due(now) == day


def test_a_summary_before_midnight_is_of_its_own_day() -> None:
    assert Summary(at=time(23, 30)).due(datetime(2026, 11, 22, 23, 45, tzinfo=UTC)) == "2026-11-22"
    assert Summary(at=time(23, 30)).due(datetime(2026, 11, 23, 0, 15, tzinfo=UTC)) is None


@pytest.mark.parametrize("kept", [None, [], "x", 7])
def test_what_cannot_be_read_at_all_is_the_default(kept: Any) -> None:
    assert rules_of(kept) == DEFAULT


def test_a_choice_of_another_version_costs_no_other_choice() -> None:
    kept = {"failures_in_a_row": 5, "off": ["a kind that was"], "hold": {"silent": 60}, "newer": 1}
    assert rules_of(kept) == Rules(failures_in_a_row=5, hold={"silent": 60.0})
    assert rules_of(DEFAULT.model_dump(mode="json")) == DEFAULT
