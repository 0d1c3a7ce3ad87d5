"""Commands on their way out: when a schedule fires, who hears a nudge, what an event looks like."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.commands.event_stream import command, event
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.scheduler import catch_up, first_firing, missed_run
from visant_cloud.store.devices import Device
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_cloud.store.schedules import Due
from visant_cloud.store.triggers import Kind, Trigger
from visant_contract.command import CaptureCommand, parse_message

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
D1 = Device(
    organisation_id=DEFAULT_ORGANISATION,
    device_key="D1",
    device_id="D1",
    created_at=NOW,
    active=True,
    old_client=False,
    token_hash=hashlib.sha256(b"a token").hexdigest(),
    token_revoked=False,
    token_seen_at=NOW,
    device_version="2.0.0",
    config=None,
)
TRIGGER = Trigger(
    seq=7,
    device_key="D1",
    trigger_id="t",
    kind="capture",
    type="manual",
    status="pending",
    reason=None,
    detail=None,
    provisional=False,
    config=None,
    created_at=NOW,
    expires_at=None,
    sent_at=None,
    ended_at=None,
)


@given(st.floats(1, 2_678_400), st.floats(0, 100_000_000))
def test_catching_up_fires_for_the_last_missed_time_and_stays_on_the_grid(interval: float, late: float) -> None:
    scheduled, step = NOW - timedelta(seconds=late), timedelta(seconds=interval)
    slot, after, missed = catch_up(scheduled, interval, NOW)
    assert scheduled <= slot <= NOW < after == slot + step
    assert slot == scheduled + missed * step


def test_a_schedule_that_a_clock_ahead_has_moved_is_fired_for_its_own_time() -> None:
    ahead = NOW + timedelta(days=1)
    assert catch_up(ahead, 60, NOW) == (ahead, ahead + timedelta(seconds=60), 0)


@given(
    st.floats(1, 100_000),
    st.lists(st.tuples(st.floats(0, 1_000_000), st.booleans()), min_size=1, max_size=40),
)
def test_every_time_of_a_schedule_is_fired_for_or_in_one_run_of_missed_ones(
    interval: float, rounds: list[tuple[float, bool]]
) -> None:
    """Rounds of any distance, the device barred or not: as the tables keep it."""
    step, next_at, now = timedelta(seconds=interval), NOW, NOW
    fired: list[datetime] = []
    runs: dict[tuple[str, datetime], tuple[datetime, int]] = {}  # (reason, last) -> (first, count)
    for later, active in rounds:
        now += timedelta(seconds=later)
        if next_at > now:
            continue
        overdue = catch_up(next_at, interval, now)
        due = Due(1, "D1", interval, next_at, active)
        if active:
            fired.append(overdue.slot)
        if (found := missed_run(due, overdue)) is not None:
            run, ended = found
            first, count = runs.pop((run.reason, ended), (run.first_at, 0))
            assert (run.reason, run.last_at) not in runs
            runs[run.reason, run.last_at] = first, count + run.count
        next_at = overdue.after
    passed = (now - NOW) // step + 1
    assert len(fired) + sum(count for _, count in runs.values()) == passed
    assert len(set(fired)) == len(fired) and all((slot - NOW) % step == timedelta() for slot in fired)
    for (reason, last), (first, count) in runs.items():
        between = [slot for slot in fired if first <= slot <= last]
        assert not between or reason == "late"
        assert (last - first) // step + 1 == count + len(between)


def test_a_cloud_that_is_late_again_and_again_makes_one_run_of_it() -> None:
    due = Due(1, "D1", 60, NOW, active=True)
    overdue = catch_up(NOW, 60, NOW + timedelta(seconds=190))
    found = missed_run(due, overdue)
    assert found is not None and (found[0].first_at, found[0].count) == (NOW, 3)
    again = missed_run(replace(due, next_at=overdue.after), catch_up(overdue.after, 60, NOW + timedelta(seconds=400)))
    assert again is not None and again[1] == found[0].last_at


@given(st.text(min_size=1, max_size=64), st.floats(1, 2_678_400))
def test_a_first_firing_lies_within_one_interval_and_is_always_the_same(device_id: str, interval: float) -> None:
    first = first_firing(device_id, interval, NOW)
    assert NOW <= first <= NOW + timedelta(seconds=interval)
    assert first == first_firing(device_id, interval, NOW)


@given(st.text(min_size=1, max_size=512))
def test_an_event_is_one_data_line_that_reads_back_whatever_the_trigger_is_called(trigger_id: str) -> None:
    text = event(CaptureCommand(trigger_id=trigger_id), 7).decode()
    lines = text.split("\n")
    assert lines[0] == "id: 7" and lines[1].startswith("data: {") and lines[2:] == ["", ""]
    assert "\r" not in text
    message = parse_message(lines[1].removeprefix("data: "))
    assert isinstance(message, CaptureCommand) and message.trigger_id == trigger_id


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_trigger_of_each_kind_is_sent_as_the_command_of_that_name(kind: Kind) -> None:
    sent = parse_message(command(replace(TRIGGER, kind=kind)).decode().partition("data: ")[2])
    assert getattr(sent, "cmd", None) == kind


def test_a_trigger_of_a_kind_that_nobody_wrote_down_is_an_error_and_no_capture() -> None:
    read: Any = "zoom"  # a row has it from the database
    with pytest.raises(AssertionError, match="zoom"):
        command(replace(TRIGGER, kind=read))


def test_a_nudge_while_its_stream_is_read_for_is_not_lost() -> None:
    hub = CommandHub()
    with hub.subscribe(D1) as stream:
        hub.nudge("D1")
        with hub.asking(10) as reading:
            assert reading == [stream]
            hub.nudge("D1")
        stream.deliver((), more=False)
        assert stream.more, "it asks again"


def test_streams_that_could_not_be_read_for_ask_on_in_their_order() -> None:
    hub = CommandHub()
    with hub.subscribe(D1) as one, hub.subscribe(replace(D1, device_key="D2")) as two:
        hub.nudge("D1")
        hub.nudge("D2")
        with suppress(OSError), hub.asking(1) as reading:
            assert reading == [one]
            raise OSError
        with hub.asking(10) as reading:
            assert reading == [one, two]
        assert not hub.wanted.is_set()


def test_streams_of_other_processes_count_and_are_not_ours_to_tell() -> None:
    hub = CommandHub()
    hub.elsewhere = {"D1": 1, "D2": 2}
    assert hub.subscribers("D2") == 2 and hub.connected_here() == {}
    with hub.subscribe(D1) as stream:
        assert stream.duplicate
        assert hub.connected() == {"D1": 2, "D2": 2} and hub.connected_here() == {"D1": 1}


def test_streams_by_id_alone_can_be_ended_apart() -> None:
    old = replace(D1, old_client=True, token_seen_at=None)
    hub = CommandHub()
    with hub.subscribe(old) as by_id, hub.subscribe(replace(old, token_seen_at=NOW)) as by_token:
        hub.disconnect("D1", by_id_alone=True)
        assert by_id.closed and not by_token.closed
        hub.disconnect("D1")
        assert by_token.closed


async def test_closing_the_hub_ends_streams_open_now_and_later() -> None:
    hub = CommandHub()
    with hub.subscribe(D1) as one:
        waiting = asyncio.create_task(one.wait())
        await asyncio.sleep(0)
        hub.close()
        assert await waiting is False and one.closed
        with hub.subscribe(D1) as two:
            assert two.closed and not two.duplicate, "the other is about to leave"
    assert hub.connected() == {}


async def test_streams_are_closed_one_after_the_other_and_all_in_time() -> None:
    hub = CommandHub()
    streams = [hub.open(replace(D1, device_key=f"D{number}")) for number in range(100)]
    closing = asyncio.create_task(hub.close_within(1.0, rate=100.0))
    await asyncio.sleep(0)
    assert 0 < sum(one.closed for one in streams) < 50
    assert hub.open(D1).closed
    await closing
    assert all(one.closed for one in streams)


def test_a_third_stream_of_a_device_ends_its_oldest() -> None:
    hub = CommandHub()
    first, second, third, fourth = (hub.open(D1) for _ in range(4))
    assert first.closed and second.closed and not third.closed and not fourth.closed


def test_streams_that_are_about_to_leave_do_not_count() -> None:
    hub = CommandHub()
    first, second = hub.open(D1), hub.open(D1)
    hub.disconnect("D1")
    third = hub.open(D1)
    assert first.closed and second.closed and not third.closed and not third.duplicate


def test_two_newer_streams_in_other_processes_end_the_one_here() -> None:
    hub = CommandHub()
    here = hub.open(D1)
    hub.opened_elsewhere("D1")
    assert not here.closed
    hub.opened_elsewhere("D1")
    assert here.closed
