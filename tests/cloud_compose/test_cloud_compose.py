"""cloud/compose.yaml as an operator runs it: with TLS, under load, with a worker killed, redeployed, and put back."""

import asyncio
import json
import os
import random
import re
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from emulation.accounts import PROMISE_BROKEN, Posted, account, settled
from emulation.cloud_api import CloudApi
from emulation.console import LogFiles
from emulation.stack import Device
from tests.cloud_compose.stack import BACKUPS, SERVICES, WORKERS, CloudStack
from tests.containers.stack import docker
from tests.support.pictures import room
from tests.support.small_device import SmallDevice

pytestmark = pytest.mark.timeout(900)

SHORT = bool(os.environ.get("SHORT"))
DEVICES = 40 if SHORT else 100
RATE = 6.0 if SHORT else 8.0
"""Triggers a second."""
CALM = 4.0 if SHORT else 15.0
"""Seconds of load before, between and after what is done to the workers."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudStack]:
    with CloudStack(tmp_path_factory.mktemp("cloud")) as made:
        made.up()
        yield made


# As written.


def test_each_service_may_do_little(stack: CloudStack) -> None:
    services = stack.config()["services"]
    assert set(services) == {*SERVICES, "restore"}
    for name, found in services.items():
        assert found["read_only"] is True, name
        assert found["cap_drop"] == ["ALL"], name
        assert found.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "front" else []), name
        assert found["security_opt"] == ["no-new-privileges:true"], name
        assert found["user"] == ("postgres" if name == "postgres" else "10001:10001"), name
        assert 0 < int(found["mem_limit"]) <= 1 << 30, name
        assert 0 < found["pids_limit"] <= 256, name
        assert found["restart"] == ("no" if name == "restore" else "unless-stopped"), name
        assert found["logging"]["driver"] == "local", name
        assert {"max-size", "max-file"} <= set(found["logging"]["options"]), name
        assert all("size=" in line and "noexec" in line for line in found["tmpfs"]), name
        assert not {"privileged", "devices", "pid", "userns_mode"} & set(found), name
    published = {name for name, found in services.items() if found.get("ports")}
    assert published == {"front"}
    text = json.dumps(stack.config())
    assert "docker.sock" not in text
    assert "password" not in text.lower(), "there is none to keep"


def test_the_engine_has_it_so(stack: CloudStack) -> None:
    for name in SERVICES:
        found = stack.inspect(name)
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"] is True, name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0 and host["PidsLimit"] > 0, name
        status = docker("exec", stack.container(name), "cat", "/proc/1/status")
        assert re.search(r"^CapEff:\s+0+$", status, re.M), name
        assert not re.search(r"^Uid:\s+0\s", status, re.M), name
        assert found["RestartCount"] == 0, name


def test_workers_have_no_way_out_and_the_rest_no_network(stack: CloudStack) -> None:
    networks = stack.config()["networks"]
    assert [name for name, found in networks.items() if found.get("internal")] == ["inside"]
    for name, found in stack.config()["services"].items():
        if name == "front":
            assert set(found["networks"]) == {"inside", "outside"}
        elif name in WORKERS:
            assert set(found["networks"]) == {"inside"}
        else:
            assert found["network_mode"] == "none", name


@pytest.mark.parametrize("missing", ["CLOUD_NAME", "CLOUD_TLS"])
def test_a_missing_setting_is_one_line(stack: CloudStack, missing: str) -> None:
    given = {"CLOUD_NAME": "localhost", "CLOUD_TLS": "internal"} | {missing: ""}
    with pytest.raises(AssertionError) as refusal:
        stack.compose("up", "-d", env=given)
    assert re.search(f"{missing}.*is not set in cloud/.env", str(refusal.value))


# As it runs.


def test_tls_is_the_authoritys_and_plain_http_leads_to_it(stack: CloudStack) -> None:
    where = f"https://localhost:{stack.port()}"
    assert httpx.get(f"{where}/healthz", verify=stack.tls()).status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{where}/healthz")
    plain = httpx.get(f"http://localhost:{stack.port(80)}/healthz")
    assert plain.status_code in (301, 308)
    assert plain.headers["location"].startswith("https://localhost")


def test_an_operator_signs_in_through_the_front(stack: CloudStack) -> None:
    stack.compose("exec", "-T", "cloud-1", "sh", "-c", "echo 0123456789 | visant-cloud create-operator anna")
    where = f"https://localhost:{stack.port()}"
    with httpx.Client(base_url=where, verify=stack.tls(), headers={"Origin": where}) as browser:
        answer = browser.post("/sign-in", data={"name": "anna", "password": "0123456789"})
        assert answer.status_code in (302, 303), answer.text
        assert "Secure" in answer.headers["set-cookie"]
        assert browser.get("/").status_code == 200


def half_a_request(stack: CloudStack) -> float:
    """Seconds for which the front holds one."""
    plain = socket.create_connection(("127.0.0.1", stack.port()))
    with stack.tls().wrap_socket(plain, server_hostname="localhost") as half:
        half.settimeout(60)
        half.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        while half.recv(1000):
            pass
        return time.monotonic() - began


class Load:
    """Devices on their streams, and triggers for them without a pause."""

    def __init__(self, api: CloudApi, devices: dict[str, SmallDevice], real: str) -> None:
        self.api = api
        self.devices = devices
        self.posted: dict[str, list[Posted]] = {device_id: [] for device_id in (*devices, real)}
        self.slowest = 0.0
        """Seconds that the slowest POST took until the cloud had accepted it."""

    async def post(self) -> None:
        rng, number, names = random.Random(1), 0, list(self.posted)
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                number += 1
                # one in ten is for the real device
                name = names[-1] if number % 10 == 0 else rng.choice(names[:-1])
                task = asyncio.create_task(self._one(name, f"{time.monotonic_ns()}"))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                await asyncio.sleep(1 / RATE)
        finally:
            await asyncio.gather(*under_way)

    async def _one(self, device_id: str, key: str) -> None:
        began = time.monotonic()
        trigger_id = await self.api.trigger(device_id, key)
        accepted = time.monotonic()
        self.slowest = max(self.slowest, accepted - began)
        self.posted[device_id].append(Posted(trigger_id, began, accepted))

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.post())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def verdict(self, what: str) -> None:
        """Every trigger posted so far has its one picture; prints one line of JSON."""
        total, latencies, gaps = Counter[str](), list[float](), list[float]()
        for device_id, posted in self.posted.items():
            if not posted:
                continue
            await settled(self.api, device_id, {one.trigger_id for one in posted}, within=60)
            found = await account(self.api, device_id, posted)
            total.update(
                triggers=found.triggers,
                captured=found.captured,
                lost=len(found.unaccounted),
                doubled=found.duplicates,
                broken=found.broken,
                stale=found.stale,
                failed=found.failed,
                expired=found.expired,
            )
            latencies += found.latencies
            for line in found.broken_promises() + found.problems[:3]:
                print(line if line.startswith(PROMISE_BROKEN) else f"  {device_id}: {line}")
        for device in self.devices.values():
            gaps += device.gaps
            device.gaps = []
            assert max(device.taken.values(), default=0) <= 1
            assert len(device.cloud_ids) == 1, "another cloud"
        latencies.sort()
        told = {
            "what": what,
            **total,
            "p50_ms": round(latencies[len(latencies) // 2] * 1000),
            "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000),
            "max_ms": round(latencies[-1] * 1000),
            "slowest_post_s": round(self.slowest, 2),
            "streams_that_came_back": len(gaps),
            "longest_without_stream_s": round(max(gaps, default=0.0), 1),
        }
        print(json.dumps(told))
        assert total["captured"] == total["triggers"] > 0
        assert not total["lost"] and not total["doubled"] and not total["broken"] and not total["stale"]
        self.posted = {device_id: [] for device_id in self.posted}
        self.slowest = 0.0


async def test_nothing_is_lost_or_doubled_by_a_crash_two_redeployments_and_an_older_backup(
    stack: CloudStack, tmp_path: Path
) -> None:
    where = f"https://localhost:{stack.port()}"
    root = stack.authority()
    api_token = stack.command("cloud-1", "create-token", "load").split()[-1]
    names = [*(f"SMALL{number}" for number in range(DEVICES)), "REAL1"]
    async with httpx.AsyncClient(
        base_url=where, verify=stack.tls(), headers={"Authorization": f"Bearer {api_token}"}, timeout=30
    ) as operator:
        made = [await operator.post("/v1/devices", json={"device_id": name}) for name in names]
    tokens = {name: answer.json()["token"] for name, answer in zip(names, made, strict=True)}
    jpeg, tls = room((640, 360)), stack.tls()
    devices = {name: SmallDevice(where, name, tokens[name], tls, jpeg) for name in names[:-1]}
    real = Device(
        "REAL1",
        tmp_path / "REAL1",
        where,
        LogFiles(tmp_path / "logs"),
        {"DEVICE_TOKEN": tokens["REAL1"], "SSL_CERT_FILE": str(root)},
    )
    listening = [asyncio.create_task(device.run()) for device in devices.values()]
    async with CloudApi(where, token=api_token, tls=stack.tls()) as api:
        try:
            await real.start()
            await asyncio.gather(*(asyncio.wait_for(device.connected.wait(), 60) for device in devices.values()))
            await real.healthy()
            held = [streams_of(stack, worker, api_token) for worker in WORKERS]
            assert all(held), f"one worker holds every stream: {held}"
            load = Load(api, devices, "REAL1")

            half = asyncio.create_task(asyncio.to_thread(half_a_request, stack))

            async with load.going_on():
                await asyncio.sleep(CALM)
            await load.verdict("calm")

            async with load.going_on():
                stack.crash("cloud-2")
                await asyncio.sleep(CALM)
                await asyncio.to_thread(stack.healthy, "cloud-2")
            await load.verdict("a worker killed")

            async with load.going_on():
                for worker in WORKERS:
                    await asyncio.to_thread(stack.redeploy, worker)
                path = await asyncio.to_thread(stack.command, "backup", "backup", BACKUPS)
            await load.verdict("both redeployed, one after the other, and a backup made")
            assert await half < 30
            assert "whole" in stack.command("backup", "restore", "--check", path)

            stack.compose("stop", *WORKERS, "backup")
            cloud_id = next(iter(devices["SMALL0"].cloud_ids))
            refused = stack.compose("run", "--rm", "-T", "restore", Path(path).name, check=False)
            assert "restored" not in refused
            restored = await asyncio.to_thread(
                stack.compose, "run", "--rm", "-T", "restore", Path(path).name, "--replace", cloud_id
            )
            assert f"restored: cloud {cloud_id}" in restored
            stack.compose("up", "-d", "--no-build", "--no-deps", "--wait", "--wait-timeout", "90", *WORKERS)
            await asyncio.gather(*(asyncio.wait_for(device.connected.wait(), 90) for device in devices.values()))
            async with load.going_on():
                await asyncio.sleep(CALM)
            await load.verdict("after an older backup was put back")
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
            await real.stop()


def streams_of(stack: CloudStack, worker: str, token: str) -> int:
    """As the worker's own metrics say."""
    code = (
        "import urllib.request as r; "
        f"q = r.Request('http://127.0.0.1:8000/metrics', headers={{'Authorization': 'Bearer {token}'}}); "
        "print(r.urlopen(q).read().decode())"
    )
    text = docker("exec", stack.container(worker), "python3", "-c", code)
    found = re.search(r"^visant_streams(?:{[^}]*})? (\d+)", text, re.M)
    assert found is not None, text
    return int(found[1])
