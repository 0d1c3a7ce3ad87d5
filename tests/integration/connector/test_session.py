"""What a session returns: why its stream ended, and whether the stream was worth having."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis

from tests.fakes.fake_scripted_cloud import FakeScriptedCloud, Stream
from tests.support.redis import RedisServer
from visant_connector.admission import Admission, connect
from visant_connector.cloud_memory import CloudMemory
from visant_connector.cloud_stream import CloudStream
from visant_connector.counters import BEAT_WITHIN, LOOP, Counters
from visant_connector.reconnect import STEADY
from visant_connector.redis_retry import RedisRetry
from visant_connector.session import LOOK_EVERY, Session
from visant_connector.session_state import SessionEnd
from visant_connector.settings import ConnectorSettings
from visant_contract.errors import Misconfigured, Retryable
from visant_contract.stream import CLOUD, NETWORK
from visant_contract.telemetry import NetworkUse
from visant_runtime.clock import Clock
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop


class MovedClock(Clock):
    """The real clocks, `ahead` seconds later."""

    ahead = 0.0

    def boottime(self) -> float:
        return super().boottime() + self.ahead


class Rig:
    """The parts of one session."""

    def __init__(self, heartbeat: Path, redis_url: str) -> None:
        self.redis_url = redis_url
        self.clock = MovedClock()
        self.stop = Stop()
        self.heart = Heartbeat(heartbeat)
        self.heart.expect(LOOP, BEAT_WITHIN)
        self.counters = Counters(self.heart)
        self.closing = AsyncExitStack()

    async def run(self, api_url: str) -> SessionEnd:
        settings = ConnectorSettings(device_id="FLOOR1", api_url=api_url, redis_url=self.redis_url)
        stream = CloudStream(settings, self.clock, self.counters.left_out)
        client = connect(self.redis_url)
        self.closing.push_async_callback(stream.aclose)
        self.closing.push_async_callback(client.aclose)
        admission = Admission(client)
        await admission.prepare()
        retry = RedisRetry(self.stop, self.heart, LOOP, self.clock, Random(1))
        session = Session(
            settings,
            stream,
            admission,
            retry,
            self.counters,
            self.heart,
            self.clock,
            CloudMemory(),
            NetworkMeter(self.clock),
        )
        async with asyncio.timeout(30):
            return await session.run(self.stop)

    def confirmed(self) -> bool:
        return bool(self.heart._facts["stream"]["confirmed"])


@pytest.fixture
async def rig(tmp_path: Path, redis_process: RedisServer, logged: list[Any]) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path / "heartbeat", redis_process.url)
    async with rig.closing:
        yield rig


async def test_a_stream_that_stayed_confirmed_was_steady_whatever_ended_it(rig: Rig, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await until(rig.confirmed)
        rig.clock.ahead = STEADY + 1

    async with FakeScriptedCloud(script) as cloud:
        end = await rig.run(cloud.url)
    assert isinstance(end.error, Retryable)
    assert end.error.reason == "the cloud closed the stream"
    assert end.steady
    assert not rig.confirmed()


async def test_a_stream_that_was_short_was_not_steady(rig: Rig) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()

    async with FakeScriptedCloud(script) as cloud:
        end = await rig.run(cloud.url)
    assert isinstance(end.error, Retryable)
    assert not end.steady


@pytest.mark.parametrize("proven", [True, False])
async def test_a_gap_after_a_long_time_is_steady_only_where_a_ping_agreed_before(
    rig: Rig, until: Any, proven: bool
) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        if proven:
            await stream.ping(sent=0)
        await until(rig.confirmed)
        rig.clock.ahead = STEADY + 1
        await stream.ping(last_id="9", sent=1)
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        end = await rig.run(cloud.url)
    assert isinstance(end.error, Retryable)
    assert end.error.reason == "a command is missing: the cloud sent 9, last seen None"
    assert end.steady is proven


async def test_a_refusal_is_the_end_of_a_session_that_never_opened(rig: Rig) -> None:
    async def refuse(stream: Stream) -> None:
        await stream.answer(404)

    async with FakeScriptedCloud(refuse) as cloud:
        end = await rig.run(cloud.url)
    assert isinstance(end.error, Misconfigured)
    assert not end.steady


async def test_a_redis_that_lost_its_memory_is_noticed_on_a_stream_that_is_never_pinged(rig: Rig, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected(ping_every=600)
        await until(rig.confirmed)
        with redis.Redis.from_url(rig.redis_url) as device:
            await until(lambda: device.exists(CLOUD))
            device.flushall()
        rig.clock.ahead = LOOK_EVERY + 1
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        end = await rig.run(cloud.url)
    assert isinstance(end.error, Retryable)
    assert "Redis has lost its memory" in end.error.reason


async def test_what_the_connector_used_of_its_network_is_there_for_the_uploader(rig: Rig, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected(ping_every=600)
        await stream.ping()
        await stream.hold()

    async def look() -> None:
        with redis.Redis.from_url(rig.redis_url) as device:
            await until(lambda: device.exists(NETWORK))
            used = NetworkUse.model_validate_json(str(device.get(NETWORK), "ascii"))
        assert used.seconds is not None and used.received_bytes is not None and used.sent_bytes is not None
        rig.stop.set()

    async with FakeScriptedCloud(script) as cloud, asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        await rig.run(cloud.url)


async def test_the_stop_ends_a_session_without_an_error(rig: Rig, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await until(rig.confirmed)
        rig.stop.set()
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        end = await rig.run(cloud.url)
    assert end == SessionEnd(None, steady=False)
