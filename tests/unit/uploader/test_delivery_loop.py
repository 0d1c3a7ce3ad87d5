"""Takes outcomes to the cloud, and waits where that is of no use."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.unit.uploader.conftest import Make
from visant_contract.errors import Retryable
from visant_contract.stream import CloudSeen
from visant_runtime.clock import Clock
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_uploader import cloud_watch
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.counters import Counters
from visant_uploader.delivery import loop
from visant_uploader.delivery import pace as pace_module
from visant_uploader.delivery.loop import DeliveryLoop
from visant_uploader.delivery.pace import DeliveryPace
from visant_uploader.delivery.queue import DeliveryQueue
from visant_uploader.delivery.refusals import Refusals
from visant_uploader.delivery.sender import Done
from visant_uploader.device import Device
from visant_uploader.spool.layout import Destination

HERE = Destination("cloud-1", "FLOOR1")
AN_HOUR = 3600.0


class FakeRedis:
    """What the connector wrote into Redis."""

    def __init__(self, *, plain: bool = False) -> None:
        self.confirmed_at = 1.0
        self.plain = plain

    async def cloud(self) -> CloudSeen:
        return CloudSeen(
            api_url="http://cloud",
            cloud_id="http://cloud" if self.plain else "cloud-1",
            plain=self.plain,
            boot_id=Clock().boot_id(),
            connected_boottime=self.confirmed_at,
            succeeds=not self.plain,
        )


class FakeSender:
    """`failures`: said one after another for each file; then it is delivered."""

    def __init__(self, failures: dict[str, list[Retryable]]) -> None:
        self._failures = failures
        self.asked: list[str] = []
        self.delivered: set[str] = set()

    async def deliver(self, destination: Destination, name: str) -> Done:
        self.asked.append(name)
        if self._failures.get(name):
            raise self._failures[name].pop(0)
        self.delivered.add(name)
        return Done(answered=True)


class SlowSender:
    """Its first upload is under way until `arrived` is set. Nobody but the one who is told of a file removes it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.arrived = asyncio.Event()
        self.asked: list[Destination] = []

    async def deliver(self, destination: Destination, name: str) -> Done:
        self.asked.append(destination)
        await self.arrived.wait()
        (self._root / "outbox" / destination.place / name).unlink(missing_ok=True)
        return Done(answered=True)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_confirmed_stream_ends_every_wait(
    make: type[Make], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "item_pause", lambda attempt, rng, alone: AN_HOUR)
    monkeypatch.setattr(loop, "BACKOFF_CAP", AN_HOUR + 60)
    monkeypatch.setattr(pace_module, "pause", lambda failure, attempt, rng: AN_HOUR)
    monkeypatch.setattr(cloud_watch, "LOOK_EVERY", 0.01)
    spool = make.spool(tmp_path / "spool")
    spool.open()
    for trigger in ("t-1", "t-2"):
        spool.release(HERE, spool.put(make.picture(trigger), b"jpeg"))
    one, other = (make.picture(trigger).file_name() for trigger in ("t-1", "t-2"))
    heartbeat, stop, clock = Heartbeat(tmp_path / "heartbeat"), Stop(), Clock()
    in_redis: Any = FakeRedis()
    watch = CloudWatch(in_redis, Device("FLOOR1", "2.0.0", "http://cloud"), tmp_path / "cloud.json", clock)
    sender: Any = FakeSender({one: [Retryable("its own", endpoint=False)], other: [Retryable("all")]})
    pace = DeliveryPace(Random(1))
    delivery = DeliveryLoop(
        spool, sender, watch, DeliveryQueue(), pace, Refusals("boot", 0.0),
        clock=clock, counters=Counters(), heartbeat=heartbeat,
    )  # fmt: skip
    watch.on_confirmed.append(delivery.wake)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch.run(stop, heartbeat))
        await until(lambda: watch.latest_connected == 1.0)  # the first confirmation is over before anything waits
        tasks.create_task(delivery.run(stop))
        await until(lambda: sorted(sender.asked) == sorted((one, other)) and pace.trouble is not None)
        assert pace.next_due() >= clock.boottime() + AN_HOUR - 60  # both waits have begun, and both are long
        in_redis.confirmed_at = 2.0
        await until(lambda: sender.delivered == {one, other})
        stop.set()
    assert len(sender.asked) == 4


async def test_what_is_taken_over_while_it_is_on_its_way_does_not_stay_behind(
    make: type[Make], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor answers at the same address, so an upload that began for the plain cloud may arrive there."""
    monkeypatch.setattr(loop, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(cloud_watch, "LOOK_EVERY", 0.01)
    before = Destination("http://cloud", "FLOOR1")
    spool = make.spool(tmp_path / "spool")
    spool.open()
    spool.release(before, spool.put(make.picture("t-1", cloud_id="http://cloud", plain=True), b"jpeg"))
    heartbeat, stop, clock = Heartbeat(tmp_path / "heartbeat"), Stop(), Clock()
    in_redis: Any = FakeRedis(plain=True)
    watch = CloudWatch(in_redis, Device("FLOOR1", "2.0.0", "http://cloud"), tmp_path / "cloud.json", clock)
    slow: Any = SlowSender(tmp_path / "spool")
    delivery = DeliveryLoop(
        spool, slow, watch, DeliveryQueue(), DeliveryPace(Random(1)), Refusals("boot", 0.0),
        clock=clock, counters=Counters(), heartbeat=heartbeat,
    )  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch.run(stop, heartbeat))
        tasks.create_task(delivery.run(stop))
        await until(lambda: slow.asked == [before])
        in_redis.plain, in_redis.confirmed_at = False, 2.0
        await until(lambda: list((tmp_path / "spool/outbox" / HERE.place).glob("*.picture")))
        slow.arrived.set()
        await until(lambda: not list((tmp_path / "spool/outbox").rglob("*.picture")))
        stop.set()
    assert slow.asked == [before, HERE]
