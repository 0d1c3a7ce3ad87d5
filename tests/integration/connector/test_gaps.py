"""A command that vanished on its way is missed, also when a later one came through."""

from typing import Any

from tests.fakes.fake_scripted_cloud import FakeScriptedCloud, Stream


async def test_a_hole_before_the_last_command_is_a_gap(device: Any, until: Any) -> None:
    async def swallowed(stream: Stream) -> None:
        await stream.connected()
        await stream.capture("c", id="3")
        await stream.ping(last_id="3", sent=3)
        await stream.hold()

    async def replay(stream: Stream) -> None:
        await stream.connected()
        for number, trigger in enumerate("abc", start=1):
            await stream.capture(trigger, id=str(number))
        await stream.ping(last_id="3", sent=3)
        await stream.hold()

    async with FakeScriptedCloud(swallowed, replay) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(one.triggers()) == 3)
        assert one.triggers() == ["c", "a", "b"]
        assert one.fact("gaps") == 1
        assert len(cloud.streams) == 2


async def test_a_count_that_agrees_is_no_gap(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await stream.ping(sent=0)
        await stream.capture("a", id="7")
        await stream.ping(last_id="7", sent=1)
        await stream.capture("b", id="9")
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(one.triggers()) == 2)
        assert one.fact("gaps") == 0
        assert len(cloud.streams) == 1
