"""Back-pressure: while Redis takes nothing, nothing is dropped, and the device says why it waits."""

import asyncio
import json
from typing import Any

from tests.fakes.fake_scripted_cloud import FakeScriptedCloud, Stream
from tests.support.redis import RedisServer
from visant_contract.stream import CLOUD, GROUP, STREAM


class Streaming:
    """A cloud that sends what the test puts in, on the newest stream."""

    def __init__(self, cloud_id: str | None = "cloud-1") -> None:
        self.cloud_id = cloud_id
        self.stream: Stream | None = None
        self.closed = 0

    async def __call__(self, stream: Stream) -> None:
        await stream.connected(self.cloud_id)
        self.stream = stream
        await stream.hold()
        self.closed += 1

    async def capture(self, trigger_id: str) -> None:
        """Sends the command on the newest stream."""
        assert self.stream is not None, "no stream was opened yet"
        await self.stream.capture(trigger_id)


async def test_without_redis_the_cloud_is_not_even_asked(
    device: Any, until: Any, redis_process: RedisServer, logged: list[Any]
) -> None:
    redis_process.kill()
    script = Streaming()
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: "redis" in one.degraded())
        assert "is it running" in one.degraded()["redis"]
        assert cloud.streams == []
        redis_process.start()
        await until(lambda: script.stream is not None)
        assert "redis" not in one.degraded()
        assert sum("degraded redis" in line["event"] for line in logged) <= 3


async def test_a_redis_killed_in_the_middle_gets_every_command_when_it_is_back(
    device: Any, until: Any, redis_process: RedisServer
) -> None:
    script = Streaming(None)  # plain: nothing would be sent a second time
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: script.stream is not None and one.cloud() is not None)
        await script.capture("before")
        await until(one.triggers)
        redis_process.kill()
        for n in range(300):
            await script.capture(f"t{n}")
        await until(lambda: "redis" in one.degraded())
        assert one.heart._loops["stream"][0] > one.clock.boottime() - 30
        redis_process.start()
        await until(lambda: one.redis.xlen(STREAM) == 301)
        assert one.triggers() == ["before", *(f"t{n}" for n in range(300))]
        assert "redis" not in one.degraded()
        assert len(cloud.streams) == 1


async def test_a_full_redis_holds_commands_back_until_there_is_room(device: Any, until: Any) -> None:
    script = Streaming()
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: script.stream is not None and one.cloud() is not None)
        one.redis.config_set("maxmemory", "1")
        await script.capture("a")
        await until(lambda: "full" in one.degraded().get("redis", ""))
        one.redis.config_set("maxmemory", "0")
        await until(lambda: one.triggers() == ["a"])


async def test_a_redis_that_accepts_and_does_not_answer_holds_commands_back(
    device: Any, until: Any, redis_process: RedisServer
) -> None:
    script = Streaming()
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: script.stream is not None and one.cloud() is not None)
        redis_process.pause()
        try:
            await script.capture("a")
            await until(lambda: "redis" in one.degraded())
        finally:
            redis_process.resume()
        await until(lambda: one.triggers() == ["a"])


async def test_a_long_stall_closes_the_stream_of_a_cloud_that_replays(
    device: Any, until: Any, redis_process: RedisServer
) -> None:
    script = Streaming()
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url, stream_timeout=1.0)
        await until(lambda: script.stream is not None and one.cloud() is not None)
        redis_process.kill()
        await script.capture("held")
        await until(lambda: script.closed == 1)
        assert len(cloud.streams) == 1
        redis_process.start()
        await until(lambda: one.triggers() == ["held"])
        await until(lambda: len(cloud.streams) == 2)


async def test_a_long_stall_keeps_the_stream_of_a_plain_cloud_which_would_not_say_it_again(
    device: Any, until: Any, redis_process: RedisServer
) -> None:
    script = Streaming(None)
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url, stream_timeout=1.0)
        await until(lambda: script.stream is not None and one.cloud() is not None)
        redis_process.kill()
        for n in range(200):
            await script.capture(f"t{n}")
        began = one.clock.boottime()
        await until(lambda: one.clock.boottime() - began > 2)
        redis_process.start()
        await until(lambda: one.redis.xlen(STREAM) == 200)
        assert script.closed == 0


async def test_a_redis_that_lost_its_memory_makes_the_device_ask_for_a_replay(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected(config={"a": 1})
        await stream.capture("a", id="1")
        while True:
            await stream.ping(last_id="1")
            await asyncio.sleep(0.1)

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: one.triggers() == [None, "a"])
        one.redis.flushall()
        await until(lambda: one.redis.exists(STREAM) and one.triggers() == [None, "a"])
        assert one.redis.exists(CLOUD)
        assert [group["name"] for group in one.redis.xinfo_groups(STREAM)] == [GROUP]


async def test_a_redis_that_is_away_while_nothing_happens_is_noticed_at_the_next_ping(
    device: Any, until: Any, redis_process: RedisServer
) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        while True:
            await stream.ping()
            await asyncio.sleep(0.1)

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: one.cloud() is not None)
        redis_process.kill()
        await until(lambda: "redis" in one.degraded())
        redis_process.start()
        await until(lambda: "redis" not in one.degraded())
        assert len(cloud.streams) == 1


async def test_the_stop_does_not_wait_for_redis(device: Any, until: Any, redis_process: RedisServer) -> None:
    script = Streaming()
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: script.stream is not None and one.cloud() is not None)
        redis_process.pause()
        await script.capture("a")
        await until(lambda: "redis" in one.degraded())
        began = one.clock.boottime()
        await one.end()
        redis_process.resume()
        assert one.clock.boottime() - began < 8


async def test_the_heartbeat_tells_the_updater_whether_the_stream_is_confirmed(device: Any, until: Any) -> None:
    script = Streaming()
    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)

        def written() -> Any:
            return json.loads(one.heartbeat_file.read_text())["facts"].get("stream", {})

        await until(lambda: written().get("confirmed"))
        assert written()["since_boottime"] <= written()["last_event_boottime"] <= one.clock.boottime()
