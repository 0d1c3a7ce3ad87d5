"""The process as a technician and Compose see it: its lines, its exit status, its health, and what kill -9 leaves."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_scripted_cloud import FakeScriptedCloud, Stream, server_time
from tests.support.product import VERSION
from tests.support.redis import RedisServer

COMMAND = [sys.executable, "-m", "visant_connector"]


class Process:
    """`visant-connector`, started with an environment of the test's own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    async def end(self) -> int:
        """Its exit status, once its output is read."""
        async with asyncio.timeout(30):
            await self._reading
            return await self.process.wait()


@pytest.fixture
async def start(tmp_path: Path, redis_process: RedisServer) -> AsyncIterator[Any]:
    running: list[Process] = []

    async def start(*arguments: str, **environment: str) -> Process:
        clean = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        clean |= {"DEVICE_ID": "FLOOR1", "API_URL": "http://127.0.0.1:1", "REDIS_URL": redis_process.url}
        clean |= {"HEARTBEAT_FILE": str(tmp_path / "process.heartbeat")}
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            env={key: value for key, value in (clean | environment).items() if value},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        running.append(Process(process))
        return running[-1]

    yield start
    for one in running:
        if one.process.returncode is None:
            one.process.kill()
        await one.end()


async def good(stream: Stream) -> None:
    await stream.connected(config={"a": 1})
    for n in range(5):
        await stream.capture(f"t{n}", id=str(n), expires_at=server_time(60))
    await stream.ping(last_id="4", server_time=server_time())
    await stream.hold()


@pytest.mark.usefixtures("real_start")
async def test_a_technician_sees_the_lines_that_were_promised_and_sigterm_ends_it(start: Any, until: Any) -> None:
    async with FakeScriptedCloud(good) as cloud:
        process = await start("run", API_URL=cloud.url + "/", DEVICE_TOKEN="s3cret-token")
        await until(lambda: any("t4" in line for line in process.lines))
        assert process.lines[:6] == [
            "[INFO] Visant Device Client v2.0 - Cloud-Triggered Architecture",
            "[INFO] Device ID: FLOOR1",
            f"[INFO] API URL: {cloud.url}",
            "[INFO] Connecting to command stream...",
            "[INFO] ✓ Connected to command stream",
            "[INFO] ✓ Connection confirmed by server",
        ]
        healthy = await start("health")
        assert await healthy.end() == 0
        assert healthy.lines == ["healthy"]
        process.process.send_signal(signal.SIGTERM)
        assert await process.end() == 0
        assert not any("s3cret-token" in line for line in process.lines)


async def test_a_misspelt_key_is_one_line_before_what_is_missing_for_it_and_beside_what_works(
    start: Any, until: Any
) -> None:
    typed = "[WARNING] DEVICE_IDD is no setting, it does nothing: is DEVICE_ID meant? Edit .env.device"
    ended = await start("run", DEVICE_ID="", DEVICE_IDD="FLOOR1")
    assert await ended.end() == 78
    assert ended.lines[0] == typed and ended.lines[1].startswith("[ERROR] DEVICE_ID is not set")
    running = await start("run", DEVICE_IDD="FLOOR1")
    await until(lambda: any("refuses connections" in line for line in running.lines))
    assert running.lines.count(typed) == 1


async def test_an_absent_cloud_is_degraded_not_unhealthy(start: Any, until: Any) -> None:
    process = await start("run")
    await until(lambda: any("refuses connections" in line for line in process.lines))
    health = await start("health")
    assert await health.end() == 0
    assert health.lines[0].startswith("degraded: cloud: 127.0.0.1 refuses connections on port 1")


async def test_health_without_a_running_process_says_so(start: Any) -> None:
    health = await start("health")
    assert await health.end() == 1
    assert health.lines[0].startswith("unhealthy: no heartbeat")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DEVICE_ID": ""}, ["DEVICE_ID is not set"]),
        ({"API_URL": "cloud.example"}, ["API_URL='cloud.example'", "https://"]),
        ({"REDIS_URL": "redis://127.0.0.1:port/0"}, ["REDIS_URL"]),
        ({"ALL_PROXY": "gopher://x"}, ["proxy"]),
        ({"SSL_CERT_FILE": "/nowhere.pem"}, ["SSL_CERT_FILE"]),
    ],
)
async def test_a_users_mistake_ends_with_one_line_and_no_trace(
    start: Any, environment: dict[str, str], words: list[str]
) -> None:
    process = await start("run", **environment)
    assert await process.end() == 78
    (line,) = process.lines
    for word in words:
        assert word in line


async def test_version_and_config_need_nothing_but_themselves(start: Any) -> None:
    version = await start("version", DEVICE_ID="")
    assert await version.end() == 0
    assert version.lines == [f"visant-connector {VERSION}"]
    config = await start("config", DEVICE_TOKEN="s3cret-token")
    assert await config.end() == 0
    assert "STREAM_TIMEOUT=70.0" in config.lines
    assert "DEVICE_TOKEN=****" in config.lines


async def test_health_loads_only_the_standard_library() -> None:
    code = (
        "import sys; from visant_connector.__main__ import main; sys.argv=['x','health']; main();"
        "print([m for m in ('pydantic','httpx','redis','structlog','importlib.metadata') if m in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == "[]"


WHOLE = [None, "t0", "t1", "t2", "t3", "t4"]


@pytest.mark.parametrize("point", ["received", "received:2", "admitted:2", "cloud_seen"])
async def test_a_power_cut_around_the_admission_leaves_every_command_queued_once(
    start: Any, device: Any, until: Any, point: str
) -> None:
    async with FakeScriptedCloud(good) as cloud:
        process = await start("run", API_URL=cloud.url, VISANT_KILL_POINT=f"connector.{point}")
        assert await process.end() == -signal.SIGKILL
        one = await device(cloud.url)
        await until(lambda: one.fact("admitted") + one.fact("duplicates") == 6)
        triggers = [trigger for trigger in one.triggers() if trigger is not None]
        assert triggers == WHOLE[1:]


async def test_a_power_cut_while_redis_has_the_command_and_has_not_answered(
    start: Any, device: Any, until: Any, redis_process: RedisServer
) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await until(lambda: gate.is_set())
        await stream.capture("a", id="1")
        sent.set()
        await stream.hold()

    gate, sent = asyncio.Event(), asyncio.Event()
    async with FakeScriptedCloud(script) as cloud:
        process = await start("run", API_URL=cloud.url)
        await until(lambda: any("confirmed by server" in line for line in process.lines))
        redis_process.pause()
        gate.set()
        await until(lambda: any("degraded redis" in line for line in process.lines))
        process.process.kill()
        await process.end()
        redis_process.resume()
        one = await device(cloud.url)
        await until(lambda: one.fact("admitted") + one.fact("duplicates") >= 1)
        assert one.triggers() == ["a"]


async def test_a_power_cut_of_redis_in_a_burst_leaves_every_command_queued_once(
    device: Any, until: Any, redis_process: RedisServer
) -> None:
    count = 3000

    async def script(stream: Stream) -> None:
        await stream.connected()
        lines = (f'id: {n}\ndata: {{"cmd":"capture","trigger_id":"t{n}"}}\n\n' for n in range(count))
        await stream.raw("".join(lines).encode())
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(lambda: one.fact("admitted") > 200)
        redis_process.kill()
        redis_process.start()
        await until(lambda: one.fact("admitted") + one.fact("duplicates") == count)
        assert one.triggers() == [f"t{n}" for n in range(count)]
