"""Whose commands a stream carries: none before a cloud has said who it is, none after it says it otherwise."""

import asyncio
from typing import Any

import pytest

from tests.fakes.fake_scripted_cloud import EVENT_STREAM, FakeScriptedCloud, Script, Stream
from visant_connector.cloud_memory import PLAIN_AFTER


def says(connected: str, trigger_id: str) -> Script:
    """A stream with this `connected`, to the letter, and one command."""

    async def script(stream: Stream) -> None:
        await stream.raw(EVENT_STREAM + b"data: " + connected.encode() + b"\n\n")
        await stream.capture(trigger_id)
        await stream.hold()

    return script


OURS = '{"event":"connected","device_id":"FLOOR1","cloud_id":"cloud-1"}'
PLAIN = '{"event":"connected","device_id":"FLOOR1"}'


@pytest.mark.parametrize(
    "field",
    [
        '"server_time":"2026-11-29T12:00:00"',
        '"server_time":"soon"',
        '"duplicate":null',
        '"duplicate":[]',
        '"device_id":7',
        '"ping_every":-1',
        '"ping_every":{}',
        '"config":"bright"',
        '"config":{"a":"\\ud800"}',
    ],
)
async def test_an_optional_field_that_cannot_be_read_takes_nothing_else_with_it(
    device: Any, until: Any, logged: list[Any], field: str
) -> None:
    told = OURS.replace('"device_id":"FLOOR1",', "").replace("}", "," + field + "}")
    async with FakeScriptedCloud(says(told, "one")) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        (entry,) = one.entries()
        assert (entry.cloud_id, entry.plain) == ("cloud-1", False)
        assert len(cloud.streams) == 1
        name = field.split('"')[1]
        assert [line["why"] for line in logged if line["event"] == "left out" and f"`connected`: {name}" in line["why"]]


async def test_what_a_ping_says_beside_a_broken_field_counts(device: Any, until: Any) -> None:
    async def gap(stream: Stream) -> None:
        await stream.connected()
        await stream.ping(server_time="now", last_id="7", sent=None)
        await stream.hold()

    async def whole(stream: Stream) -> None:
        await stream.connected()
        await stream.capture("missed", id="7")
        await stream.hold()

    async with FakeScriptedCloud(gap, whole) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert one.fact("gaps") == 1


@pytest.mark.parametrize(
    "connected",
    [
        OURS.replace('"cloud-1"', "7"),
        OURS.replace('"cloud-1"', '""'),
        OURS.replace('"cloud-1"', '"' + "x" * 129 + '"'),
        OURS.replace('"cloud-1"', '"\\ud800"'),
        OURS.replace('"cloud-1"', '"a\\r\\nX-Other: b"'),
        OURS[:-5],
        '"connected"',
        '{"event":"ping"}',
    ],
)
async def test_nothing_is_admitted_before_a_readable_connected_and_the_cloud_is_asked_again(
    device: Any, until: Any, connected: str
) -> None:
    async with FakeScriptedCloud(says(connected, "one"), says(connected, "one"), says(OURS, "one")) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(cloud.streams) == 3 and one.triggers())
        (entry,) = one.entries()
        assert (entry.trigger_id, entry.cloud_id, entry.plain) == ("one", "cloud-1", False)


async def test_a_cloud_that_never_says_connected_is_asked_again(device: Any, until: Any) -> None:
    async def mute(stream: Stream) -> None:
        await stream.accept()
        while True:
            await stream.ping()
            await asyncio.sleep(0.1)  # a ping must not count as silence

    async def whole(stream: Stream) -> None:
        await stream.connected()
        await stream.capture("one")
        await stream.hold()

    async with FakeScriptedCloud(mute, whole) as cloud:
        one = await device(cloud.url, stream_timeout=1.0)
        await until(one.triggers)
        assert len(cloud.streams) == 2


async def test_a_known_cloud_does_not_become_a_plain_one_by_one_bad_line(device: Any, until: Any) -> None:
    async with FakeScriptedCloud(short(OURS, "first"), says(PLAIN, "second"), says(OURS, "third")) as cloud:
        one = await device(cloud.url)
        await until(lambda: "third" in one.triggers())
        assert {entry.cloud_id for entry in one.entries()} == {"cloud-1"}
        assert one.triggers() == ["first", "third"]


async def test_nor_does_it_when_the_connector_was_started_anew(device: Any, until: Any) -> None:
    async with FakeScriptedCloud(short(OURS, "first"), says(PLAIN, "second"), says(OURS, "third")) as cloud:
        before = await device(cloud.url)
        await until(before.triggers)
        await before.end()
        cloud.scripts = cloud.scripts[1:]
        cloud.streams.clear()
        one = await device(cloud.url)
        await until(lambda: "third" in one.triggers())
        assert one.triggers() == ["first", "third"]


async def test_a_cloud_that_was_set_back_to_a_plain_one_is_served(device: Any, until: Any) -> None:
    async with FakeScriptedCloud(short(OURS, "first"), says(PLAIN, "second")) as cloud:
        one = await device(cloud.url)
        await until(lambda: "second" in one.triggers())
        assert len(cloud.streams) == 1 + PLAIN_AFTER
        assert [(entry.cloud_id, entry.plain) for entry in one.entries()] == [("cloud-1", False), (cloud.url, True)]


async def test_another_cloud_in_the_middle_of_a_stream_is_not_believed(device: Any, until: Any) -> None:
    async def changes(stream: Stream) -> None:
        await stream.connected("cloud-1")
        await stream.capture("first")
        await stream.send({"event": "connected", "cloud_id": "cloud-2"})
        await stream.capture("second")
        await stream.hold()

    async with FakeScriptedCloud(changes, says(OURS, "third")) as cloud:
        one = await device(cloud.url)
        await until(lambda: "third" in one.triggers())
        assert one.triggers() == ["first", "third"]


def short(connected: str, trigger_id: str) -> Script:
    """As `says`, and the stream ends."""

    async def script(stream: Stream) -> None:
        await stream.raw(EVENT_STREAM + b"data: " + connected.encode() + b"\n\n")
        await stream.capture(trigger_id)

    return script
