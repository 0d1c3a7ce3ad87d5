"""visant-cloud as a process: it starts, stops, survives kill -9, and its commands work beside it."""

import asyncio
import io
import json
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cloud_process import Process
from tests.support.hostile_jpegs import progressive
from tests.support.raw_stream import connect
from visant_cloud.access import cli


@pytest.fixture
def process(tmp_path: Path, database_url: str | None) -> Iterator[Process]:
    one = Process(tmp_path, **({"DATABASE_URL": database_url} if database_url else {}))
    yield one
    one.end()


async def open_streams(url: str, count: int) -> tuple[httpx.AsyncClient, list[Any]]:
    client = httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=None))
    streams = []
    for number in range(count):
        request = client.build_request("GET", f"/v1/devices/D{number}/commands")
        response = await client.send(request, stream=True)
        lines = response.aiter_lines()
        assert '"connected"' in await anext(lines)
        streams.append((response, lines))
    return client, streams


def queued(pid: int) -> float:
    """Seconds for which its event loop could have run and stood in the queue for a core (Linux, schedstats.rst)."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9  # of the main thread alone
    return 0.0


async def test_sigterm_with_100_open_streams_exits_within_3_seconds(process: Process) -> None:
    """Seconds of its own: those in which it stood in the queue for a core are the machine's."""
    process.start()
    client, streams = await open_streams(process.url, 100)
    before, stood = time.monotonic(), queued(process.popen.pid)
    waits = 0.0
    process.popen.send_signal(signal.SIGTERM)
    while process.popen.poll() is None:
        assert time.monotonic() - before < 60.0
        waits = max(waits, queued(process.popen.pid) - stood)
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - before
    for response, _ in streams:
        await response.aclose()
    await client.aclose()
    assert process.popen.returncode == 0, process.log.read_text()
    assert seconds - waits < 3.0, f"{seconds:.1f} s, of which {waits:.1f} in the queue for a core"
    assert "Traceback" not in process.log.read_text()


async def test_devices_that_come_and_go_leave_nothing_behind(process: Process) -> None:
    """A stream is cut at any moment, also in the middle of a read."""
    process.start()
    host, port = process.url.removeprefix("http://").split(":")

    async def come_and_go(number: int) -> None:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /v1/devices/D{number % 7}/commands HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(number % 10 * 0.003)
        writer.transport.abort()

    await asyncio.gather(*(come_and_go(number) for number in range(100)))
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        async with asyncio.timeout(120):
            while (await client.get("/v1/devices/connected")).json().get("count") != 0:
                await asyncio.sleep(0.05)
            # reads that were under way are finished; until then a slow database has no connection left: 503
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
    process.popen.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.popen.wait, 120) == 0
    assert "[ERROR]" not in process.log.read_text(), process.log.read_text()


async def test_an_upload_in_progress_is_finished_at_sigterm(process: Process, upload_body: Any, picture: Any) -> None:
    process.start()
    client, streams = await open_streams(process.url, 1)
    body = json.dumps(upload_body("D0", "t", image=picture(1600, 1200))).encode()
    half = asyncio.Event()

    async def slowly() -> Any:
        yield body[: len(body) // 2]
        half.set()
        await asyncio.sleep(0.5)
        yield body[len(body) // 2 :]

    posting = asyncio.create_task(client.post("/v1/captures", content=slowly()))
    await half.wait()
    process.popen.send_signal(signal.SIGTERM)
    assert (await posting).status_code == 201
    assert await asyncio.to_thread(process.popen.wait, 120) == 0
    await streams[0][0].aclose()
    await client.aclose()


def decoders(pid: int) -> list[int]:
    """Of a cloud's process, those that are bounded already and so read pictures."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += [int(word) for word in (task / "children").read_text().split()]
    return [one for one in found if "Max file size             0 " in Path(f"/proc/{one}/limits").read_text()]


def gone(pid: int) -> bool:
    """Ended, whether or not somebody asked for its status."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_pictures_that_take_long_hold_up_no_end_and_no_decoder_is_left(
    process: Process, upload_body: Any, number: signal.Signals
) -> None:
    process.start()
    slow = progressive(8_000, 5_000, 1, 150)
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        for name in ("D0", "D1"):
            await client.post("/v1/devices", json={"device_id": name})
        bodies = [
            upload_body(f"D{n % 2}", f"t{n}", image=slow[:-2] + bytes([0xFF, 0xFE, 0, 3, n]) + slow[-2:])
            for n in range(14)
        ]
        posting = [asyncio.create_task(client.post("/v1/captures", json=body)) for body in bodies]
        async with asyncio.timeout(60):
            while len(busy := decoders(process.popen.pid)) < 2:
                await asyncio.sleep(0.01)
        process.popen.send_signal(number)
        status = await asyncio.to_thread(process.popen.wait, 120)
        answers = await asyncio.gather(*posting, return_exceptions=True)
    async with asyncio.timeout(30):
        while not all(map(gone, busy)):
            await asyncio.sleep(0.01)
    if number == signal.SIGTERM:
        assert status == 0 and "did not finish in time" not in process.log.read_text(), process.log.read_text()
        assert {one.status_code for one in answers if isinstance(one, httpx.Response)} <= {201, 503}
        assert all(isinstance(one, httpx.Response) for one in answers), answers
    assert "Traceback" not in process.log.read_text()


@pytest.mark.parametrize("point", ["picture_written", "picture_stored", "capture_committed"])
async def test_kill_9_while_storing_loses_nothing_that_was_receipted_and_doubles_nothing(
    process: Process, upload_body: Any, point: str
) -> None:
    process.start(VISANT_KILL_POINT=f"{point}:2")
    client, streams = await open_streams(process.url, 1)
    await streams[0][0].aclose()
    assert (await client.post("/v1/captures", json=upload_body("D0", "one"))).status_code == 201
    with pytest.raises(httpx.TransportError):
        await client.post("/v1/captures", json=upload_body("D0", "two"))
    await client.aclose()
    assert await asyncio.to_thread(process.popen.wait, 120) == -signal.SIGKILL
    process.start()
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as again:
        assert (await again.post("/v1/captures", json=upload_body("D0", "one"))).status_code == 200
        second = await again.post("/v1/captures", json=upload_body("D0", "two"))
        assert second.status_code == (200 if point == "capture_committed" else 201)
        records = (await again.get("/v1/captures")).json()["captures"]
        assert sorted(one["trigger_id"] for one in records) == ["one", "two"]
        for one in records:
            assert (await again.get(one["picture"])).content.endswith(b"\xff\xd9")


@pytest.mark.usefixtures("real_start")
async def test_a_trigger_that_was_answered_is_pushed_after_kill_9(process: Process) -> None:
    process.start()
    client, streams = await open_streams(process.url, 1)
    await streams[0][0].aclose()
    trigger_id = (await client.post("/v1/devices/D0/trigger")).json()["trigger_id"]
    await client.aclose()
    process.popen.kill()
    process.popen.wait(120)
    process.start()
    client, streams = await open_streams(process.url, 1)
    async for line in streams[0][1]:
        if trigger_id in line:
            break
    await streams[0][0].aclose()
    await client.aclose()


Terminal = Callable[..., Awaitable[str]]


@pytest.fixture
def terminal(process: Process, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """`await terminal("create-token", "ci")`: what the command prints, beside the process, without a program start."""
    for key in ("DATA_DIR", "DATABASE_URL"):
        if key in process.environment:
            monkeypatch.setenv(key, process.environment[key])

    async def command(name: str, *words: str, text: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        capsys.readouterr()
        status = await asyncio.to_thread(cli.main, name, words)
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out.strip()

    return command


async def test_the_commands_let_people_programs_and_devices_in_beside_a_running_cloud(
    process: Process, terminal: Terminal
) -> None:
    process.environment["AUTH"] = "required"
    process.start()
    made = process.run("create-device", "FLOOR1")
    assert made.returncode == 0 and made.stdout.startswith("vd_") and len(made.stdout.split()) == 1
    token = await terminal("create-token", "ci")
    await terminal("create-operator", "Ada", text="correct horse battery\n")
    code = await terminal("enrol-code", "--device-id", "FLOOR2")
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as client:
        api = {"Authorization": f"Bearer {token}"}
        found = (await client.get("/v1/devices", headers=api)).json()
        assert [one["device_id"] for one in found["devices"]] == ["FLOOR1"]
        assert (await client.post("/v1/enrol", json={"code": code})).json()["device_id"] == "FLOOR2"
        form = {"name": "Ada", "password": "correct horse battery"}
        assert (await client.post("/sign-in", data=form)).status_code == 303
        own = {"Authorization": f"Bearer {made.stdout.strip()}"}
        telemetry = {"device_version": "2"}
        stream = await connect(process.url, "FLOOR1", headers=f"Authorization: Bearer {made.stdout.strip()}\r\n")
        for command, status in (("revoke-device", 401), ("restore-device", 204)):
            await terminal(command, "FLOOR1")
            assert await stream.ended()
            stream.close()
            answer = await client.post("/v1/devices/FLOOR1/telemetry", json=telemetry, headers=own)
            assert answer.status_code == status
        await terminal("revoke-token", "ci")
        assert (await client.get("/v1/devices", headers=api)).status_code == 401
    assert process.run("health").stdout.startswith("healthy")
    assert "FLOOR1\tseen" in await terminal("devices")
    assert await terminal("recount") == "2 devices counted, 0 had wrong figures"


def test_mistakes_at_the_terminal_get_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert cli.main("create-device", ["D1"]) == 0
    capsys.readouterr()
    for (command, *words), text, said in (
        (["create-device", "D1"], "", "exists already"),
        (["create-device", "a/b"], "", "1 to 64 letters"),
        (["create-operator", "Ada"], "short\n", "at least 10 characters"),
        (["revoke-token", "none"], "", "no token named"),
        (["revoke-device", "none"], "", "no device"),
        (["enrol-code", "--device-id", "a b"], "", "1 to 64 letters"),
        (["enrol-code", "--hours", "-1"], "", "--hours"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert cli.main(command, words) == 1, words
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1 and said in printed.err, printed.err


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("PORT", "http", "PORT='http' is not valid"),
        ("PORT", "99999", "PORT='99999' is not valid"),
        ("AUTH", "maybe", "AUTH='maybe' is not valid"),
        ("DATABASE_URL", "mysql://u:secretword@h/d", "DATABASE_URL is not valid"),
        ("RETENTION_DAYS", "-1", "RETENTION_DAYS='-1' is not valid"),
        ("DATA_DIR", "/proc/nowhere", "DATA_DIR=/proc/nowhere cannot be used"),
        ("HTTP_HOST", "203.0.113.1", "cannot listen there"),
    ],
)
def test_wrong_settings_end_the_start_with_one_line(tmp_path: Path, key: str, value: str, said: str) -> None:
    one = Process(tmp_path, **{key: value})
    done = one.run("run")
    assert done.returncode == 78 and said in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "secretword" not in done.stderr


def test_a_port_that_is_taken_ends_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = Process(tmp_path, PORT=str(taken.getsockname()[1])).run("run")
    assert done.returncode == 78 and "cannot listen there (Address already in use)" in done.stderr
