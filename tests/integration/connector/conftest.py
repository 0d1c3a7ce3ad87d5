"""The connector inside the test's own event loop, with waits that end in hundredths of a second."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest
import redis
from structlog.testing import capture_logs

from tests.support.redis import RedisServer
from visant_connector.admission import Admission, connect
from visant_connector.cloud_stream import CloudStream
from visant_connector.counters import Counters
from visant_connector.relay import Relay
from visant_connector.settings import ConnectorSettings
from visant_contract.stream import CLOUD, STREAM, CloudSeen, CommandEntry
from visant_runtime.clock import Clock
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop


class Hurried(Random):
    """Waits a hundredth of what was drawn, and remembers between which bounds it was."""

    def __init__(self) -> None:
        super().__init__(1)
        self.bounds: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.bounds.append((a, b))
        return min(b, 0.02)


class ShiftedClock(Clock):
    """The real clocks, moved: another boot, another wall time."""

    def __init__(self) -> None:
        self.boot = "boot-1"

    def boot_id(self) -> str:
        return self.boot


class Device:
    """A running relay, and what a test looks at."""

    def __init__(self, folder: Path, redis_url: str, api_url: str, **overrides: Any) -> None:
        self.settings = ConnectorSettings(
            device_id="FLOOR1", api_url=api_url, redis_url=redis_url, **({"stream_timeout": 20.0} | overrides)
        )
        self.heartbeat_file = folder / "heartbeat"
        self.heart = Heartbeat(self.heartbeat_file)
        self.clock = ShiftedClock()
        self.rng = Hurried()
        self.stop = Stop()
        self.redis: Any = redis.Redis.from_url(redis_url, decode_responses=True)
        self._client = connect(redis_url)
        self.counters = Counters(self.heart)
        self._stream = CloudStream(self.settings, self.clock, self.counters.left_out)
        self._admission = Admission(self._client)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        meter = NetworkMeter(self.clock)
        relay = Relay(
            self.settings, self._stream, self._admission, self.counters, self.heart, self.clock, self.rng, meter
        )
        self.task = asyncio.create_task(relay.run(self.stop))

    async def end(self) -> None:
        self.stop.set()
        if self.task is not None:
            async with asyncio.timeout(8):
                await self.task
        await self._stream.aclose()
        await self._client.aclose()
        self.redis.close()

    def entries(self) -> list[CommandEntry]:
        return [CommandEntry.model_validate_json(fields["entry"]) for _, fields in self.redis.xrange(STREAM)]

    def triggers(self) -> list[str | None]:
        return [entry.trigger_id for entry in self.entries()]

    def cloud(self) -> CloudSeen | None:
        text = self.redis.get(CLOUD)
        return None if text is None else CloudSeen.model_validate_json(text)

    def degraded(self) -> dict[str, str]:
        return dict(json.loads(self.heartbeat_file.read_text())["degraded"])

    def fact(self, name: str) -> Any:
        return self.heart._facts.get(name)


async def until(condition: Callable[[], Any], *, within: float = 120.0) -> None:
    """Returns when `condition()` is true; fails after `within` seconds."""
    try:
        async with asyncio.timeout(within):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"still not so after {within} s")


class Start(Protocol):
    def __call__(self, api_url: str, **overrides: Any) -> Awaitable[Device]: ...


@pytest.fixture
async def device(tmp_path: Path, redis_process: RedisServer, logged: list[Any]) -> AsyncIterator[Start]:
    """Starts devices, one after another; all end with the test."""
    running: list[Device] = []

    async def start(api_url: str, *, boot: str = "boot-1", **overrides: Any) -> Device:
        one = Device(tmp_path, redis_process.url, api_url, **overrides)
        one.clock.boot = boot
        one.start()
        running.append(one)
        return one

    yield start
    for one in running:
        if one.task is None or not one.stop.is_set():
            await one.end()


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Every line of the log, as events with fields."""
    with capture_logs() as lines:
        yield lines
