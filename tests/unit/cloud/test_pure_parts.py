"""The parts of the cloud that only decide: schedules, rates, formats, settings, the hub."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.access import credentials
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.access.sign_in import safe_target
from visant_cloud.captures.storage import BrokenPicture, NotAPicture, examine
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.scheduler import catch_up, first_firing
from visant_cloud.routes.stream import event
from visant_cloud.settings import database_url
from visant_cloud.store.database import MAX_DEPTH, clean, from_json, to_json
from visant_cloud.store.devices import Device
from visant_cloud.views.pages import size, span, with_code
from visant_contract.command import CaptureCommand, UpdateConfigCommand, parse_message

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
D1 = Device(**dict.fromkeys(Device.__dataclass_fields__) | {"device_id": "D1", "active": True})


@given(st.floats(1, 2_678_400), st.floats(0, 100_000_000))
def test_catching_up_fires_for_the_last_missed_time_and_stays_on_the_grid(interval: float, late: float) -> None:
    scheduled = NOW - timedelta(seconds=late)
    slot, after = catch_up(scheduled, interval, NOW)
    assert scheduled <= slot
    assert slot <= NOW + timedelta(milliseconds=1) and after >= NOW - timedelta(milliseconds=1)
    steps = (slot - scheduled).total_seconds() / interval
    assert abs(steps - round(steps)) < 1e-3


@given(st.text(min_size=1, max_size=64), st.floats(1, 2_678_400))
def test_a_first_firing_lies_within_one_interval_and_is_always_the_same(device_id: str, interval: float) -> None:
    first = first_firing(device_id, interval, NOW)
    assert NOW <= first <= NOW + timedelta(seconds=interval)
    assert first == first_firing(device_id, interval, NOW)


def test_a_rate_lets_a_burst_through_then_one_at_a_time_and_names_the_wait() -> None:
    now = 0.0
    rates = RateLimits(2.0, 3.0, lambda: now)
    assert [rates.take("a") for _ in range(4)] == [None, None, None, 1]
    assert rates.take("b") is None, "each key has its own"
    now = 0.5
    assert [rates.take("a"), rates.take("a")] == [None, 1]
    now = 100.0
    assert [rates.take("a") for _ in range(4)] == [None, None, None, 1]


def test_a_rate_remembers_a_bounded_number_of_keys() -> None:
    rates = RateLimits(1.0, 1.0, lambda: 0.0, keys=10)
    for number in range(1000):
        rates.take(str(number))
    assert len(rates._buckets) == 10


@given(st.recursive(st.none() | st.floats() | st.text() | st.integers(), st.lists))
def test_what_is_stored_as_json_is_json(value: Any) -> None:
    import json

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(to_json(value), parse_constant=refuse)


TEXT = st.text(st.characters())  # with half surrogate pairs
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


@given(JSON)
def test_whatever_is_stored_is_read_such_that_a_stream_can_send_it(value: Any) -> None:
    read = from_json(to_json(value))
    event(UpdateConfigCommand(config={"a": read}))
    assert clean(read) == read and (clean(value) != value or read == value)


def test_what_lies_deep_is_cut_off_and_what_is_deep_enough_stays() -> None:
    deepest: Any = 7
    for _ in range(MAX_DEPTH):
        deepest = [deepest]
    assert clean(deepest) == deepest
    assert "7" not in to_json(from_json(to_json([deepest])))


@given(st.text(min_size=1, max_size=512))
def test_an_event_is_one_data_line_that_reads_back_whatever_the_trigger_is_called(trigger_id: str) -> None:
    text = event(CaptureCommand(trigger_id=trigger_id), 7).decode()
    lines = text.split("\n")
    assert lines[0] == "id: 7" and lines[1].startswith("data: {") and lines[2:] == ["", ""]
    assert "\r" not in text
    message = parse_message(lines[1].removeprefix("data: "))
    assert isinstance(message, CaptureCommand) and message.trigger_id == trigger_id


@pytest.mark.parametrize(
    ("given_url", "engine"),
    [
        ("postgres://u:p@h:5433/d", "postgresql+asyncpg://u:p@h:5433/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?ssl=require"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("sqlite:////data/c.db", "sqlite+aiosqlite:////data/c.db"),
    ],
)
def test_database_urls_of_platforms_are_understood(given_url: str, engine: str) -> None:
    assert database_url(given_url) == engine


@pytest.mark.parametrize("wrong", ["mysql://h/d", "cloud.db", "", "sqlite:"])
def test_other_databases_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        database_url(wrong)


@given(st.text(max_size=200))
def test_a_sign_in_never_leads_to_another_site(wanted: str) -> None:
    target = safe_target(wanted)
    assert target.startswith("/") and not target.startswith(("//", "/\\"))


@given(st.text(alphabet="0123456789abcdefXYZ- \t", max_size=30))
def test_a_code_is_the_same_however_it_is_typed(text: str) -> None:
    assert credentials.tidy_code(text) == credentials.tidy_code(f" {text.lower()}-")


def test_codes_and_tokens_are_never_alike() -> None:
    assert len({credentials.enrol_code() for _ in range(2000)}) == 2000
    assert len({credentials.device_token() for _ in range(100)}) == 100


@given(st.binary(max_size=3000))
def test_bytes_that_are_no_picture_are_refused_without_a_fault(data: bytes) -> None:
    for candidate in (data, b"\xff\xd8\xff" + data + b"\xff\xd9"):
        with pytest.raises((NotAPicture, BrokenPicture)):
            examine(candidate)


def test_lengths_and_sizes_read_well() -> None:
    assert [span(s) for s in (None, 0.04, 0.42, 3, 35.2, 300, 5400, 90000, 432000)] == [
        "-", "0.0 s", "0.4 s", "3 s", "35 s", "5 min", "90 min", "25 h", "5.0 days",
    ]  # fmt: skip
    assert [size(b) for b in (None, 0, 999, 4_200_000, 21_000_000_000)] == [
        "-",
        "0 bytes",
        "999 bytes",
        "4.2 MB",
        "21 GB",
    ]


def test_back_ticks_become_code_and_nothing_else_becomes_markup() -> None:
    assert with_code("run `a <b>` & see") == "run <code>a &lt;b&gt;</code> &amp; see"


async def test_a_nudge_between_two_waits_is_not_lost() -> None:
    hub = CommandHub()
    with hub.subscribe(D1) as stream:
        hub.nudge("D1")
        assert await stream.wait(5) is True
        assert await stream.wait(0.01) is False


def test_streams_of_other_processes_count_and_are_not_ours_to_tell() -> None:
    hub = CommandHub()
    hub.elsewhere = {"D1": 1, "D2": 2}
    assert hub.subscribers("D2") == 2 and hub.held() == {}
    with hub.subscribe(D1) as stream:
        assert stream.duplicate
        assert hub.connected() == {"D1": 2, "D2": 2} and hub.held() == {"D1": 1}


def test_streams_by_id_alone_can_be_ended_apart() -> None:
    old = replace(D1, old_client=True)
    hub = CommandHub()
    with hub.subscribe(old) as by_id, hub.subscribe(replace(old, token_seen_at=NOW)) as by_token:
        hub.disconnect("D1", by_id_alone=True)
        assert by_id.closed and not by_token.closed
        hub.disconnect("D1")
        assert by_token.closed


async def test_closing_the_hub_ends_streams_open_now_and_later() -> None:
    hub = CommandHub()
    with hub.subscribe(D1) as one:
        waiting = asyncio.create_task(one.wait(30))
        await asyncio.sleep(0)
        hub.close()
        assert await waiting is True and one.closed
        with hub.subscribe(D1) as two:
            assert two.closed and two.duplicate
    assert hub.connected() == {}
