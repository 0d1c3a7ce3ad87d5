"""From the cloud's stream into Redis: what a stream may say, and what a device makes of it."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from tests.fakes.fake_scripted_cloud import EVENT_STREAM, FakeScriptedCloud, Stream, server_time
from tests.support.product import VERSION
from visant_contract.stream import DEADLINES, STREAM


async def test_commands_enter_in_their_order_with_the_clouds_name_and_deadline(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected("cloud-1", ping_every=20)
        await stream.capture("a", id="1", type="scheduled", expires_at=server_time(60))
        await stream.capture("b", id="2", expires_at=server_time(60))
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(one.entries()) == 2)
        first, second = one.entries()
        assert (first.trigger_id, first.trigger_type, first.kind) == ("a", "scheduled", "capture")
        assert (second.cloud_id, second.plain) == ("cloud-1", False)
        assert first.deadline.boottime == pytest.approx(one.clock.boottime() + 60, abs=10)
        seen = one.cloud()
        assert seen is not None
        assert (seen.api_url, seen.cloud_id, seen.plain, seen.boot_id) == (cloud.url, "cloud-1", False, "boot-1")
        assert one.fact("stream")["confirmed"]
        await one.end()
        assert not one.fact("stream")["confirmed"]


async def test_the_request_names_device_version_and_token(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        await device(cloud.url, device_token="s3cret")
        await until(lambda: cloud.streams)
        assert cloud.streams[0].line == f"GET /v1/devices/FLOOR1/commands?device_version={VERSION} HTTP/1.1"
        assert cloud.streams[0].header("authorization") == "Bearer s3cret"


async def test_the_uploader_hears_what_the_cloud_accepts_and_whether_it_succeeds_a_plain_one(
    device: Any, until: Any
) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected("cloud-1", accepts=["image/jpeg"], succeeds=True)
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(one.cloud)
        assert (one.cloud().accepts, one.cloud().succeeds) == (("image/jpeg",), True)


async def test_a_plain_cloud_is_known_by_its_address(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected(None)
        await stream.capture("manual_FLOOR1_20261122_140530_123456")
        await stream.ping()
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        (entry,) = one.entries()
        assert (entry.cloud_id, entry.plain) == (cloud.url, True)
        assert entry.deadline.boottime == pytest.approx(one.clock.boottime() + 300, abs=10)
        assert one.cloud().plain
        assert one.cloud().clock_offset is None


async def test_what_cannot_be_read_is_left_out_and_the_stream_goes_on(
    device: Any, until: Any, logged: list[Any]
) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        for data in (b"{broken", b'["no", "object"]', b'"text"', b"{}", b'{"cmd":7}', b'{"cmd":"capture"}', b""):
            await stream.raw(b"data: " + data + b"\n\n")
        await stream.raw(b'data: {"cmd":"capture","trigger_id":"\xff"}\n\n')
        await stream.raw(b'data: {"cmd":"update_config","config":{"a":"' + b"x" * 2_000_000 + b'"}}\n\n')
        await stream.send({"event": "tea time"})
        await stream.send({"cmd": "dance"})
        await stream.raw(b": a comment\nretry: 5\nnonsense\n\n")
        await stream.raw(b'event: odd\ndata: {"cmd":"capture",\ndata: "trigger_id":"good"}\n\n')
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert one.triggers() == ["good"]
        assert len(cloud.streams) == 1
        lines = [line for line in logged if line["event"] == "left out"]
        assert len(lines) == 10
        assert all(len(line["why"]) < 300 for line in lines)


async def test_commands_that_cannot_be_followed_but_named_are_admitted_to_be_answered(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await stream.send({"cmd": "dance", "trigger_id": "unknown"})
        await stream.send({"cmd": "capture", "trigger_id": "broken", "expires_at": "soon"})
        await stream.capture("a/b" * 100)
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(one.entries()) == 3)
        unknown, broken, odd = one.entries()
        assert (unknown.kind, unknown.cmd, unknown.broken) == ("unknown", "dance", None)
        assert (broken.kind, broken.cmd) == ("unknown", "capture")
        assert "expires_at" in broken.broken
        assert odd.trigger_id == "a/b" * 100


async def test_a_character_cut_in_two_by_the_network_is_whole_again(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        for byte in 'data: {"cmd":"capture","trigger_id":"größe ✓ 😀"}\r\n\r\n'.encode():
            await stream.raw(bytes([byte]))
            await asyncio.sleep(0)
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert one.triggers() == ["größe ✓ 😀"]


async def test_a_compressed_stream_is_read_as_it_comes(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.raw(EVENT_STREAM[:-2] + b"Content-Encoding: gzip\r\n\r\n")
        message = json.dumps({"cmd": "capture", "trigger_id": "zipped"})
        await stream.raw(gzip.compress(b'data: {"event":"connected"}\n\ndata: ' + message.encode() + b"\n\n"))
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert one.triggers() == ["zipped"]


async def test_settings_in_connected_are_admitted_when_they_change(device: Any, until: Any) -> None:
    def script(config: dict[str, Any]) -> Any:
        async def play(stream: Stream) -> None:
            await stream.connected(config=config)
            await stream.ping()

        return play

    async def last(stream: Stream) -> None:
        await stream.connected(config={"b": 2})
        await stream.capture("end")
        await stream.hold()

    async with FakeScriptedCloud(script({"a": 1, "c": 2}), script({"c": 2, "a": 1}), script({}), last) as cloud:
        one = await device(cloud.url)
        await until(lambda: "end" in one.triggers())
        assert [entry.config for entry in one.entries()] == [{"a": 1, "c": 2}, {"b": 2}, None]
        assert one.entries()[0].trigger_id is None


async def test_a_replay_after_a_reboot_renews_the_deadline_of_what_still_waits(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await stream.capture("a", id="1", expires_at=server_time(60))
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        before = await device(cloud.url)
        await until(before.triggers)
        await before.end()
        after = await device(cloud.url, boot="boot-2")
        await until(lambda: after.redis.hlen(DEADLINES) == 1)
        ((entry_id, deadline),) = after.redis.hgetall(DEADLINES).items()
        assert json.loads(deadline)["boot_id"] == "boot-2"
        assert [entry_id] == [id for id, _ in after.redis.xrange(STREAM)]
        await until(lambda: after.fact("duplicates") == 1)


async def test_a_reset_cloud_may_use_the_same_trigger_id_again(device: Any, until: Any, logged: list[Any]) -> None:
    def script(cloud_id: str) -> Any:
        async def play(stream: Stream) -> None:
            await stream.connected(cloud_id)
            await stream.capture("1")
            if cloud_id == "second":
                await stream.hold()

        return play

    async with FakeScriptedCloud(script("first"), script("second")) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(one.entries()) == 2)
        assert [entry.cloud_id for entry in one.entries()] == ["first", "second"]
        assert any("another one" in line["event"] for line in logged)


async def test_a_second_holder_of_the_device_id_is_named(device: Any, until: Any, logged: list[Any]) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected(duplicate=True)
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: one.fact("duplicate"))
        assert any("DEVICE_ID=FLOOR1" in line["event"] for line in logged)


async def test_a_burst_of_ten_thousand_commands_enters_whole_and_in_order(
    device: Any, until: Any, record_property: Any
) -> None:
    count = 10_000

    async def script(stream: Stream) -> None:
        await stream.connected()
        for start in range(0, count, 500):
            lines = (f'id: {n}\ndata: {{"cmd":"capture","trigger_id":"t{n}"}}\n\n' for n in range(start, start + 500))
            await stream.raw("".join(lines).encode())
        await stream.ping(last_id=str(count - 1))
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        began = one.clock.boottime()
        await until(lambda: one.redis.xlen(STREAM) == count, within=50)
        record_property("seconds", round(one.clock.boottime() - began, 1))
        assert one.triggers() == [f"t{n}" for n in range(count)]
        assert len(cloud.streams) == 1
