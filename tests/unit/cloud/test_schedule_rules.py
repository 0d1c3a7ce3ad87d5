"""What a rule may say, and the one line for what it may not: key, value, remedy."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from visant_cloud.problems import validation_line
from visant_cloud.schedules import words
from visant_cloud.schedules.rule import NEVER, Rule, kept, rule_of


def refused(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Rule.model_validate(given)
    line = validation_line(caught.value.errors())
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, ["interval_seconds", "cron"]),
        ({"interval_seconds": 60, "cron": "* * * * *"}, ["one of", "not both"]),
        ({"interval_seconds": 0.5}, ["interval_seconds", "greater than or equal to 1"]),
        ({"interval_seconds": float("nan")}, ["interval_seconds", "finite"]),
        ({"interval_seconds": 1e9}, ["interval_seconds", "2678400"]),
        ({"interval_seconds": "60"}, ["interval_seconds", "number"]),
        ({"cron": "* * * *"}, ["cron", "4 fields and not 5", "minute, hour"]),
        ({"cron": "0 * * * * *"}, ["6 fields and not 5"]),
        ({"cron": "60 * * * *"}, ["'60' is no minute", "0 to 59"]),
        ({"cron": "0 24 * * *"}, ["'24' is no hour", "0 to 23"]),
        ({"cron": "0 0 0 * *"}, ["'0' is no day of month", "1 to 31"]),
        ({"cron": "0 0 * 13 *"}, ["'13' is no month", "JAN to DEC"]),
        ({"cron": "0 0 * * 8"}, ["'8' is no day of week", "SUN to SAT"]),
        ({"cron": "5-1 * * * *"}, ["'5-1' is no minute"]),
        ({"cron": "*/0 * * * *"}, ["'*/0' is no minute"]),
        ({"cron": "@daily"}, ["1 fields and not 5"]),
        ({"cron": "every day at noon ok"}, ["'every' is no minute"]),
        ({"cron": "\u0663 * * * *"}, ["is no minute"]),
        ({"cron": "0 " + "1," * 200}, ["cron", "200"]),
        ({"cron": "* * * * *", "zone": "Berlin"}, ["zone", "'Berlin'", "Europe/Berlin"]),
        ({"cron": "* * * * *", "zone": "../etc/passwd"}, ["no time zone"]),
        ({"cron": "* * * * *", "zone": ""}, ["no time zone"]),
        ({"interval_seconds": 60, "weekdays": []}, ["weekdays", "at least 1"]),
        ({"interval_seconds": 60, "weekdays": ["monday"]}, ["weekdays.0", "'mon'"]),
        ({"interval_seconds": 60, "windows": [{"begin": "08:00", "end": "08:00"}]}, ["08:00", "leave the window out"]),
        ({"interval_seconds": 60, "windows": [{"begin": "25:00", "end": "08:00"}]}, ["windows.0.begin"]),
        (
            {"interval_seconds": 60, "windows": [{"begin": 8, "end": "09:00"}]},
            ["windows.0.begin", "as text, e.g. 08:30"],
        ),
        ({"interval_seconds": 60, "windows": [{"begin": "8000", "end": "09:00"}]}, ["windows.0.begin", "08:30"]),
        (
            {"interval_seconds": 60, "windows": [{"begin": "08:00Z", "end": "09:00"}]},
            ["time of day of the rule's zone"],
        ),
        ({"interval_seconds": 60, "windows": [{"begin": "08:00"}]}, ["windows.0.end", "required"]),
        ({"interval_seconds": 60, "windows": [{"begin": "08:00", "end": "09:00"}] * 11}, ["windows", "10"]),
        (
            {"interval_seconds": 60, "pauses": [{"first": 20261224, "last": "2026-12-24"}]},
            ["a day as text", "2026-12-24"],
        ),
        ({"interval_seconds": 60, "pauses": [{"first": "2026-02-30", "last": "2026-03-01"}]}, ["pauses.0.first"]),
        ({"interval_seconds": 60, "pauses": [{"first": "2026-12-26", "last": "2026-12-24"}]}, ["before", "exchange"]),
        ({"interval_seconds": 60, "pauses": [{"first": "0001-01-01", "last": "2026-12-24"}]}, ["2000 to 2199"]),
        ({"interval_seconds": 60, "pauses": [{"first": "2026-01-01", "last": "9999-12-31"}]}, ["2000 to 2199"]),
        ({"interval_seconds": 60, "pauses": [{"first": "2026-12-24", "last": "2026-12-24"}] * 1001}, ["1000"]),
        ({"interval_seconds": 60, "daylight": {"latitude": 91.0, "longitude": 0.0}}, ["daylight.latitude", "90"]),
        ({"interval_seconds": 60, "daylight": {"latitude": 1.0, "longitude": 181.0}}, ["daylight.longitude", "180"]),
        ({"interval_seconds": 60, "daylight": {"latitude": 1.0}}, ["daylight.longitude", "required"]),
        ({"interval_seconds": 60, "jitter_seconds": 61}, ["jitter_seconds (61)", "at most one interval"]),
        ({"cron": "* * * * *", "jitter_seconds": -1}, ["jitter_seconds"]),
        ({"cron": "* * * * *", "expires_after_seconds": 0}, ["expires_after_seconds"]),
        ({"cron": "* * * * *", "missed": "twice"}, ["missed", "'skip' or 'once'"]),
        ({"cron": "* * * * *", "every": 5}, ["every", "not permitted"]),
    ],
    ids=lambda one: str(one)[:60],
)
def test_what_no_rule_may_say_is_one_line_that_names_it(given: dict[str, Any], named: list[str]) -> None:
    line = refused(**given)
    for word in named:
        assert word in line, line


@given(st.text(alphabet="0123456789*/,-#LWSUNMOJAD ", max_size=30))
def test_any_text_is_a_cron_line_or_is_refused(text: str) -> None:
    try:
        found = Rule(cron=text)
    except ValidationError:
        return
    assert words.rule_in_words(found)


@given(st.text(max_size=40))
def test_any_text_is_a_zone_or_is_refused(text: str) -> None:
    try:
        assert ZoneInfo(Rule(cron="* * * * *", zone=text).zone)
    except ValidationError:
        assert "zone" in refused(cron="* * * * *", zone=text)


def test_a_rule_is_read_back_as_it_was_kept_and_one_that_cannot_be_read_never_fires() -> None:
    full = Rule.model_validate(
        {
            "cron": "*/5  8-18 * * MON-FRI",
            "zone": "Europe/Berlin",
            "weekdays": ["fri", "mon", "mon"],
            "windows": [{"begin": "22:00", "end": "06:00"}],
            "daylight": {"latitude": 52.5, "longitude": 13.4},
            "pauses": [{"first": "2026-12-24", "last": "2026-12-26"}],
            "jitter_seconds": 30,
            "expires_after_seconds": 60,
            "missed": "skip",
        }
    )
    assert full.cron == "*/5 8-18 * * MON-FRI" and full.weekdays == ["mon", "fri"]
    assert rule_of(kept(full)) == full
    assert rule_of({**kept(full), "zone": "Atlantis/Main"}) == NEVER
    assert rule_of(None) == NEVER


def test_a_rule_is_said_in_words() -> None:
    office = Rule.model_validate(
        {
            "interval_seconds": 900,
            "zone": "Europe/Berlin",
            "weekdays": ["mon", "tue"],
            "windows": [{"begin": "08:00", "end": "18:00"}],
            "daylight": {"latitude": 52.5, "longitude": 13.4},
            "pauses": [{"first": "2026-12-24", "last": "2026-12-26"}],
            "jitter_seconds": 30,
        }
    )
    assert words.rule_in_words(office) == (
        "Every 15 min, on mon, tue, from 08:00 to 18:00, while the sun is up at 52.5, 13.4, not in 1 pause; times of "
        "Europe/Berlin; each device by up to 30 s later, always by the same."
    )
    assert words.rule_in_words(Rule(cron="30 2 * * *")) == "At 02:30 every day (cron 30 2 * * *); times of UTC."
    assert "Never" in words.rule_in_words(NEVER)
    assert [words.length(one) for one in (1, 90, 120, 5400, 3600, 86400, 172800, 0.5)] == [
        *("1 s", "90 s", "2 min", "90 min", "1 h", "1 day", "2 days", "0.5 s"),
    ]
