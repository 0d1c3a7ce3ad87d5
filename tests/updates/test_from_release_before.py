"""From the release before to this tree's and back, while pictures and commands wait: none is lost, none comes twice."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conformance.fake_plain_cloud import FakePlainCloud
from tests.updates import release_before
from tests.updates.conftest import numbered
from tests.updates.host import Host, wait_for
from tests.updates.shop import Shop, docker, signers
from tests.updates.wire import Website

BEFORE, AFTER = numbered(31), numbered(32)
DEVICE = "FLOOR1"
EACH = 3
"""So many pictures wait in the spool, and so many commands in Redis."""


class StrictCloud:
    """A cloud that replays nothing and keeps everything twice that comes twice: what a device loses or doubles shows.

    It listens on the address at which every container reaches this machine.
    """

    def __init__(self, cloud_id: str | None) -> None:
        address = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
        self._fake = FakePlainCloud(0, DEVICE, host=address, cloud_id=cloud_id)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.sent: list[str] = []

    def __enter__(self) -> StrictCloud:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._fake.__aenter__(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._fake.__aexit__(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return self._fake.url

    @property
    def received(self) -> list[str]:
        """Trigger ids of the pictures, one for each time that one came."""
        return [one.trigger_id for one in self._fake.captures]

    def taken_at(self, trigger_id: str) -> datetime:
        (taken,) = [one.body["captured_at"] for one in self._fake.captures if one.trigger_id == trigger_id]
        return datetime.fromisoformat(taken)

    def trigger(self, count: int) -> list[str]:
        """New commands, one after the other, to the one stream that is open."""

        async def send() -> list[str]:
            return [self._fake.trigger() for _ in range(count)]

        sent = asyncio.run_coroutine_threadsafe(send(), self._loop).result(10)
        self.sent += sent
        return sent

    def send_again(self) -> None:
        """Every command so far, as ours does on a new stream with those whose outcome it does not know."""
        for trigger_id in self.sent:
            command = {"cmd": "capture", "trigger_id": trigger_id, "type": "manual"}
            self._loop.call_soon_threadsafe(self._fake.send, command)

    def new_stream(self) -> None:
        """Every stream ends, also of a container that is gone, and the device's connector opens one."""
        before = self._fake.connections
        self._loop.call_soon_threadsafe(self._fake.hang_up)
        wait_for(lambda: self._fake.connections > before, 60, "the connector to come back")

    def take_pictures(self, yes: bool) -> None:
        self._fake.upload_status = 201 if yes else 503

    def unanswered(self) -> list[str]:
        """Reports that a picture of ours could not be taken: this cloud has no place for them."""
        return [path for path in self._fake.not_found if path.endswith("/outcome")]


class Device(Host):
    """A host whose containers are asked what waits in them."""

    def in_redis(self) -> int:
        return int(self.docker("exec", self.container("redis"), "redis-cli", "XLEN", "visant:commands"))

    def in_spool(self) -> int:
        shell = "find /var/lib/visant/spool/outbox /var/lib/visant/spool/unacknowledged -type f | wc -l"
        return int(self.docker("exec", self.container("uploader"), "sh", "-c", shell))

    def stall_camera(self) -> None:
        """No more frames, until the container is another."""
        port = self.settings["CAMERA_PORT"]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/fake/faults",
            json.dumps({"fault": "stalled"}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="module")
def releases(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BEFORE and AFTER in the shop; the tree that BEFORE was made from."""
    tree = release_before.unpack(tmp_path_factory.mktemp("before"))
    release_before.build(tree)
    shop.real_release(BEFORE, release_before.IMAGES, more=(), tree=tree)
    shop.real_release(AFTER)
    return tree


@pytest.fixture
def new_device(
    releases: Path, shop: Shop, website: Website, tmp_path: Path, free_port: int
) -> Iterator[Callable[[str], Device]]:
    made: list[Device] = []

    def new(api_url: str) -> Device:
        device = Device(
            root=tmp_path / "device", project=f"vb{os.getpid()}", url=website.url, signers=signers(shop.key),
            channel=f"before-{os.getpid()}", tree=releases,
        )  # fmt: skip
        made.append(device)
        (device.root / "secrets").mkdir()
        device.configure(
            DEVICE_ID=DEVICE, API_URL=api_url, NO_PROXY="*", CAMERA_SOURCE="fake", CAMERA_PORT=str(free_port),
            CAPTURE_PATIENCE="280", UPDATE_IDLE_WAIT="1", UPDATE_SETTLE="45", UPDATE_START_TIMEOUT="120",
        )  # fmt: skip
        return device

    yield new
    for device in made:
        device.remove()


@contextmanager
def waiting(device: Device, cloud: StrictCloud) -> Iterator[None]:
    """EACH pictures wait in the spool and EACH commands in Redis, until the body has put other services in place."""
    cloud.take_pictures(False)
    pictures = cloud.trigger(EACH)
    wait_for(lambda: (device.in_spool(), device.in_redis()) == (EACH, 0), 60, "the pictures to be in the spool")
    device.stall_camera()
    cloud.trigger(EACH)
    wait_for(lambda: device.in_redis() == EACH, 30, "the commands to be in Redis")
    assert device.in_spool() == EACH
    switched_at = datetime.now(UTC)
    yield
    # Nothing has come to the cloud: what it gets now has waited through the switch.
    assert not set(pictures) & set(cloud.received)
    wait_for(lambda: (device.in_spool(), device.in_redis()) == (2 * EACH, 0), 60, "the commands to be pictures too")
    cloud.take_pictures(True)
    cloud.new_stream()  # and a delivery that has given up for a while begins at once
    wait_for(lambda: device.in_spool() == 0, 60, "the spool to be empty")
    cloud.send_again()
    new = cloud.trigger(1)
    wait_for(lambda: set(new) <= set(cloud.received), 60, "a picture of what came after all these")
    wait_for(lambda: (device.in_spool(), device.in_redis()) == (0, 0), 60, "nothing to wait any more")
    assert Counter(cloud.received) == Counter(cloud.sent)
    assert all(cloud.taken_at(one) < switched_at for one in pictures), "they were not taken again"
    assert cloud.unanswered() == []


@pytest.mark.parametrize(
    "cloud_id", ["9b2f6c1d40e84d3f", pytest.param(None, marks=pytest.mark.long)], ids=["our-cloud", "plain-cloud"]
)
def test_what_waits_in_spool_and_redis_comes_once_on_the_way_there_and_on_the_way_back(
    shop: Shop, new_device: Callable[[str], Device], cloud_id: str | None
) -> None:
    with StrictCloud(cloud_id) as cloud:
        device = new_device(cloud.url)
        device.install(BEFORE, UPDATE_SOAK="1")
        cloud.new_stream()
        shop.offer(AFTER, device.channel)
        with waiting(device, cloud):
            device.update()
            device.assert_runs(AFTER)
        with waiting(device, cloud):
            assert device.ctl("rollback")[0] == 0
            device.assert_runs(BEFORE)
