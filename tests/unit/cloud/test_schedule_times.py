"""When rules fire: against brute force, over zones and years; days on which clocks are set; and never again."""

import time
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from astral import Observer
from astral.sun import sunrise, sunset
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from visant_cloud.schedules import words
from visant_cloud.schedules.cadence import allowed_from, next_after, passed, slots
from visant_cloud.schedules.daylight import light_from
from visant_cloud.schedules.rule import Rule
from visant_cloud.schedules.spread import delay
from visant_cloud.schedules.zones import change_on, instant

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TICK = timedelta(microseconds=1)
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"),
    *("Africa/Casablanca", "America/Santiago", "Antarctica/Troll", "Pacific/Apia", "Asia/Tehran", "Europe/Dublin"),
)
"""Whole, half and quarter hours, changes of 30 min and of 2 h, at midnight, twice in two months, a day left out."""
zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def rule(**given: Any) -> Rule:
    return Rule.model_validate(given)


def some(count: int, after: str, zone: str = "UTC", **given: Any) -> list[str]:
    """Local times of the first slots from then on."""
    found = islice(slots(rule(zone=zone, **given), at(after, zone)), count)
    return [one.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M%z") for one in found]


# Days on which the clocks are set


def changes(zone: str, year: int) -> list[datetime]:
    days = (date(year, 1, 1) + DAY * n for n in range(365))
    found = (change_on(ZoneInfo(zone), day) for day in days)
    return sorted({one.at for one in found if one is not None})


def test_a_time_that_does_not_exist_fires_when_the_clocks_have_been_set_and_one_that_comes_twice_fires_once() -> None:
    assert some(3, "2027-03-27T12:00", "Europe/Berlin", cron="30 2 * * *") == [
        "03-28 03:00+0200",
        "03-29 02:30+0200",
        "03-30 02:30+0200",
    ]
    assert some(2, "2026-10-24T12:00", "Europe/Berlin", cron="30 2 * * *") == ["10-25 02:30+0200", "10-26 02:30+0100"]


def test_a_line_for_every_so_many_minutes_goes_on_through_both() -> None:
    assert some(4, "2027-03-28T01:00", "Europe/Berlin", cron="*/30 * * * *") == [
        *("03-28 01:00+0100", "03-28 01:30+0100", "03-28 03:00+0200", "03-28 03:30+0200"),
    ]
    assert some(5, "2026-10-25T02:00", "Europe/Berlin", cron="*/30 * * * *") == [
        *("10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-25 03:00+0100"),
    ]


def test_an_interval_knows_no_zone_and_counts_from_1970() -> None:
    found = list(islice(slots(rule(interval_seconds=900, zone="Europe/Berlin"), at("2026-10-25T00:50")), 8))
    assert [one.strftime("%H:%M") for one in found[:3]] == ["01:00", "01:15", "01:30"]
    assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=15)}


def test_the_answer_spells_out_a_day_on_which_the_clocks_are_set() -> None:
    nightly = rule(cron="30 2 * * *", zone="Europe/Berlin")
    gap, usual = (words.firing(nightly, one) for one in islice(slots(nightly, at("2027-03-28T00:00")), 2))
    assert gap.text == "Sunday 28 March 2027, 03:00:00, UTC+02:00"
    assert gap.note is not None and "after 02:00 comes 03:00 at once" in gap.note and "does not exist" in gap.note
    assert usual.note is None
    twice = words.firing(nightly, at("2026-10-25T00:30"))
    assert twice.note is not None and "at 03:00 it is 02:00 again" in twice.note and "first time only" in twice.note
    steady = rule(cron="*/30 * * * *", zone="Europe/Berlin")
    notes = [words.firing(steady, at(f"2026-10-25T{hour}:30")).note or "" for hour in ("00", "01", "02")]
    assert "this is the first time" in notes[0] and "this is the second time" in notes[1] and "twice" not in notes[2]


def test_every_zone_of_the_world_is_read() -> None:
    day, began = date(2026, 6, 1), time.process_time()
    for name in sorted(available_timezones()):
        assert instant(day, datetime.min.time(), ZoneInfo(name)).astimezone(ZoneInfo(name)).date() == day, name
    assert time.process_time() - began < 10


def test_a_day_that_a_zone_leaves_out_has_no_slots_and_the_days_beside_it_have_theirs() -> None:
    assert some(
        3, "2011-12-29T00:00", "Pacific/Apia", interval_seconds=43200, windows=[{"begin": "00:00", "end": "23:59"}]
    ) == [
        *("12-29 02:00-1000", "12-29 14:00-1000", "12-31 02:00+1400"),
    ]
    assert not [
        one for one in some(6, "2011-12-29T00:00", "Pacific/Apia", cron="0 */6 * * *") if one.startswith("12-30")
    ]


fixed = st.builds(lambda minute, hour: (minute, hour), st.integers(0, 59), st.integers(0, 23))


@given(zones, st.integers(1990, 2037), fixed, st.integers(0, 3))
@example("Pacific/Apia", 2011, (30, 12), 0)
@example("America/Havana", 2026, (30, 0), 1)
@example("Antarctica/Troll", 2026, (30, 2), 0)
@example("Australia/Lord_Howe", 2026, (45, 1), 1)
def test_a_time_of_day_fires_once_on_each_day_that_has_it(zone: str, year: int, when: tuple[int, int], of: int) -> None:
    set_at = changes(zone, year)
    around = set_at[of % len(set_at)] if set_at else at(f"{year}-06-01")
    info, (minute, hour) = ZoneInfo(zone), when
    begin, end = around - 3 * DAY, around + 3 * DAY
    daily = rule(cron=f"{minute} {hour} * * *", zone=zone)
    found = [one for one in islice(slots(daily, begin), 12) if one < end]
    first, last = begin.astimezone(info).date(), end.astimezone(info).date()
    days = [first + DAY * n for n in range((last - first).days + 1)]
    clock = datetime(2000, 1, 1, hour, minute).time()
    wanted = sorted({moment for day in days if begin <= (moment := instant(day, clock, info)) < end})
    assert found == wanted, (zone, around)


every = st.sampled_from(["*", "*/7", "*/15", "*/30", "*/20"])
hours = st.sampled_from(["*", "*/2", "*/5"])


@settings(max_examples=examples(60))
@given(zones, st.integers(1990, 2037), every, hours, st.integers(0, 3))
def test_a_line_with_stars_fires_at_every_minute_whose_time_of_day_it_names(
    zone: str, year: int, minute: str, hour: str, of: int
) -> None:
    set_at = changes(zone, year)
    around = set_at[of % len(set_at)] if set_at else at(f"{year}-06-01")
    begin = (around - 5 * HOUR).replace(second=0)
    info = ZoneInfo(zone)
    minutes = range(0, 60, int(minute[2:] or 1) if "/" in minute else 1)
    on = range(0, 24, int(hour[2:] or 1) if "/" in hour else 1)
    walls = ((one, one.astimezone(info)) for one in (begin + MINUTE * n for n in range(600)))
    wanted = [one for one, wall in walls if wall.minute in minutes and wall.hour in on and not wall.second]
    line = rule(cron=f"{minute} {hour} * * *", zone=zone)
    found = [one for one in islice(slots(line, begin), len(wanted) + 1) if one < begin + MINUTE * 600]
    assert found == wanted


# Anything, against what must hold of everything

times_of_day = st.times().map(lambda one: one.replace(second=0, microsecond=0))
windows = st.tuples(times_of_day, times_of_day).filter(lambda one: one[0] != one[1])
cadences = st.one_of(
    st.sampled_from([60.0, 900.0, 3600.0, 86400.0, 97.3, 1000.5]).map(lambda one: {"interval_seconds": one}),
    st.sampled_from(["*/10 * * * *", "0 12 * * *", "30 2 * * *", "15 1-3 * * 1-5", "0 0 L * *", "0 6 29 2 *"]).map(
        lambda one: {"cron": one}
    ),
)
days = st.dates(date(2020, 1, 1), date(2040, 1, 1))
pauses = st.tuples(days, st.integers(0, 400)).map(lambda one: {"first": one[0], "last": one[0] + DAY * one[1]})
rules = st.builds(
    lambda cadence, zone, weekdays, chosen, breaks: Rule.model_validate(
        {
            **cadence,
            "zone": zone,
            "weekdays": weekdays or None,
            "windows": [{"begin": begin, "end": end} for begin, end in chosen],
            "pauses": breaks,
        }
    ),
    cadences,
    zones,
    st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), max_size=7),
    st.lists(windows, max_size=3),
    st.lists(pauses, max_size=4),
)


def named(one: Rule, slot: datetime) -> bool:
    """Whether a slot is on a day and at a time of day that the rule allows, said in another way than cadence.py does:
    by the days on which the clocks are not set."""
    local = slot.astimezone(ZoneInfo(one.zone))
    for back in (0, 1):
        day = local.date() - DAY * back
        paused = any(pause.first <= day <= pause.last for pause in one.pauses)
        if paused or (one.weekdays and day.strftime("%a").lower() not in one.weekdays):
            continue
        clock = local.time()
        for window in one.windows:
            over = window.begin > window.end
            inside = window.begin <= clock < window.end
            if (not back and (clock >= window.begin if over else inside)) or (back and over and clock < window.end):
                return True
        if not back and not one.windows:
            return True
    return False


@settings(max_examples=examples(60))
@given(rules, moments)
def test_slots_rise_are_allowed_and_are_found_from_anywhere_before_them(one: Rule, after: datetime) -> None:
    after += TICK
    found = list(islice(slots(one, after), 6))
    assert all(a < b for a, b in pairwise(found))
    assert all(slot >= after for slot in found)
    info = ZoneInfo(one.zone)
    for before, slot in pairwise([after - TICK, *found]):
        assert next_after(one, before) == slot
        assert next_after(one, slot - TICK) == slot, "whoever asks between two slots is told the second"
        near = [change_on(info, slot.astimezone(info).date() + DAY * n) for n in (-1, 0, 1)]
        if not any(near):
            assert named(one, slot)


@settings(max_examples=examples(60))
@given(rules, moments, st.integers(1, 40))
def test_slots_that_have_passed_are_counted_as_if_one_looked_at_each(one: Rule, after: datetime, count: int) -> None:
    found = list(islice(slots(one, after), count + 1))
    assume(len(found) == count + 1)
    now = found[count - 1] + (found[count] - found[count - 1]) / 2
    result = passed(one, found[0], now, 1000)
    before = found[count - 2] if count > 1 else None
    assert result == (found[count - 1], before, count, found[count])
    short = passed(one, found[0], now, 3)
    if count > 3 and (one.confined or one.cron is not None):
        assert short == (found[2], found[1], 3, found[3]), "a round looks back on so many, the next goes on"


# Windows


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night: dict[str, Any] = {
        "interval_seconds": 3600,
        "windows": [{"begin": "22:00", "end": "02:00"}],
        "weekdays": ["fri"],
    }
    assert some(5, "2026-11-27T00:00", **night) == [
        *("11-27 22:00+0000", "11-27 23:00+0000", "11-28 00:00+0000", "11-28 01:00+0000", "12-04 22:00+0000"),
    ]
    paused = {**night, "weekdays": None, "pauses": [{"first": "2026-11-28", "last": "2026-11-28"}]}
    assert some(5, "2026-11-27T22:00", **paused)[3:] == ["11-28 01:00+0000", "11-29 22:00+0000"]


def test_a_window_ends_the_first_time_that_the_clock_shows_its_end() -> None:
    quarter: dict[str, Any] = {"cron": "*/30 * * * *", "windows": [{"begin": "01:00", "end": "02:30"}]}
    assert some(4, "2026-10-25T00:00", "Europe/Berlin", **quarter) == [
        *("10-25 01:00+0200", "10-25 01:30+0200", "10-25 02:00+0200", "10-26 01:00+0100"),
    ]
    inside: dict[str, Any] = {"interval_seconds": 600, "windows": [{"begin": "02:10", "end": "02:50"}]}
    assert some(1, "2027-03-28T00:00", "Europe/Berlin", **inside) == ["03-29 02:10+0200"], "the clock shows none of it"


def test_a_thousand_pauses_are_looked_through_at_once() -> None:
    first = date(2026, 1, 1)
    breaks = [{"first": first + DAY * 2 * n, "last": first + DAY * 2 * n} for n in range(1000)]
    every_day = rule(cron="0 12 * * *", pauses=breaks)
    began = time.process_time()
    found = list(islice(slots(every_day, at("2026-01-01T00:00")), 1000))
    assert time.process_time() - began < 5
    assert [one.date() for one in found] == [first + DAY * (2 * n + 1) for n in range(1000)]
    joined = rule(
        interval_seconds=60, pauses=[{"first": first + DAY * n, "last": first + DAY * n} for n in range(1000)]
    )
    assert next_after(joined, at("2026-01-01T00:00")) == at("2026-01-01T00:00") + DAY * 1000


# Daylight


@given(st.floats(-65, 65), st.floats(-180, 180), st.dates(date(2000, 1, 1), date(2060, 1, 1)))
def test_light_begins_at_sunrise_and_ends_at_sunset(latitude: float, longitude: float, day: date) -> None:
    there = Observer(latitude, longitude)
    try:
        rise, fall = sunrise(there, day), sunset(there, day)
    except ValueError:
        return  # its own trouble with the calendar day of a far longitude
    for moment in (rise, fall):
        assert light_from(latitude, longitude, moment - 4 * MINUTE) != light_from(
            latitude, longitude, moment + 4 * MINUTE
        ), "within four minutes something begins or ends"
    found = light_from(latitude, longitude, rise - 10 * MINUTE)
    assert found is not None and abs(found - rise) < 4 * MINUTE


def test_light_in_berlin_is_as_the_almanac_says() -> None:
    """timeanddate.com/sun/germany/berlin, 21 June 2026: 04:43 to 21:33; 21 December: 08:15 to 15:54."""
    for morning, light, evening in (
        ("2026-06-21T00:00", "2026-06-21T04:43", "2026-06-21T21:33"),
        ("2026-12-21T00:00", "2026-12-21T08:15", "2026-12-21T15:54"),
    ):
        found = light_from(52.52, 13.405, at(morning, "Europe/Berlin"))
        assert found is not None and abs(found - at(light, "Europe/Berlin")) < 2 * MINUTE
        dusk = at(evening, "Europe/Berlin")
        inside = light_from(52.52, 13.405, dusk - 3 * MINUTE)
        assert inside == dusk - 3 * MINUTE
        after = light_from(52.52, 13.405, dusk + 3 * MINUTE)
        assert after is not None and after > dusk + HOUR


def test_in_the_polar_night_there_are_no_slots_and_in_the_polar_day_there_are_all() -> None:
    tromso = {"latitude": 69.65, "longitude": 18.96}
    found = list(islice(slots(rule(interval_seconds=3600, daylight=tromso), at("2026-12-01T00:00")), 3))
    assert found[0].month == 1 and 10 <= found[0].day <= 20 and found[0].hour in (10, 11)
    summer = list(islice(slots(rule(interval_seconds=3600, daylight=tromso), at("2026-06-10T00:00")), 24 * 10))
    assert summer[-1] - summer[0] == HOUR * (24 * 10 - 1)
    pole = rule(cron="0 12 * * *", daylight={"latitude": 90.0, "longitude": 0.0})
    (first,) = islice(slots(pole, at("2026-10-15T00:00")), 1)
    assert (first.year, first.month) == (2027, 3) and 17 <= first.day <= 22


# Never again


@pytest.mark.parametrize(
    "given",
    [
        {"cron": "0 0 30 2 *"},
        {"cron": "0 0 31 4,6,9,11 *"},
        {"cron": "0 3 * * *", "windows": [{"begin": "08:00", "end": "09:00"}]},
        {"interval_seconds": 86400, "windows": [{"begin": "08:00", "end": "09:00"}]},
        {"cron": "0 0 * * *", "daylight": {"latitude": 0.0, "longitude": 0.0}},
        {"interval_seconds": 60, "pauses": [{"first": "2026-01-01", "last": "2199-12-31"}]},
    ],
    ids=str,
)
def test_what_never_comes_is_said_within_a_bounded_search(given: dict[str, Any]) -> None:
    began = time.process_time()
    assert next_after(rule(**given), at("2026-11-30T12:00")) is None
    assert time.process_time() - began < 5
    assert words.rule_in_words(rule(**given))


def test_what_comes_seldom_is_found() -> None:
    assert some(1, "2097-01-01T00:00", cron="0 0 29 2 *") == ["02-29 00:00+0000"]
    found = next_after(rule(cron="0 0 29 2 *", weekdays=["mon"]), at("2073-01-01T00:00"))
    assert found is not None and found.year == 2112 and found.strftime("%a %d %b") == "Mon 29 Feb"


def test_a_place_on_the_edge_of_a_window_is_told_from_when_on_it_is_allowed() -> None:
    office = rule(interval_seconds=60, windows=[{"begin": "08:00", "end": "18:00"}], zone="Europe/Berlin")
    assert allowed_from(office, at("2026-11-30T06:59:59.999999")) == at("2026-11-30T07:00")
    assert allowed_from(office, at("2026-11-30T16:59:59.999999")) == at("2026-11-30T16:59:59.999999")
    assert allowed_from(office, at("2026-11-30T17:00")) == at("2026-12-01T07:00")


# Jitter


def test_a_group_is_spread_over_the_jitter_and_each_device_has_its_place_for_ever() -> None:
    places = [delay(7, f"FLOOR{n}", 600).total_seconds() for n in range(3000)]
    assert places == [delay(7, f"FLOOR{n}", 600).total_seconds() for n in range(3000)]
    for part in range(10):
        assert 220 < len([one for one in places if part * 60 <= one < part * 60 + 60]) < 380
    assert delay(7, "FLOOR1", 600) != delay(8, "FLOOR1", 600) and delay(7, "FLOOR1", 0) == timedelta()
