"""A cloud behind a real pgbouncer: the pooled address that hosting platforms hand out."""

import asyncio
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.cloud_process import Process
from tests.support.memory import memory_folder
from tests.support.postgres import PostgresServer
from tests.support.redis import free_port
from visant_cloud.database import pooler

_CONFIG = """
[databases]
{name} = host=127.0.0.1 port={port} dbname={name} user=visant
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
unix_socket_dir =
ignore_startup_parameters = extra_float_digits
"""

Pooled = Callable[[str, int], str]


@pytest.fixture
def pgbouncer(postgres: PostgresServer, tmp_path: Path) -> Iterator[Pooled]:
    """`pgbouncer(mode, size)`: the URL of a database behind one that starts now."""
    if shutil.which("pgbouncer") is None:
        pytest.skip("pgbouncer is not installed: tools/test_needs.sh installs it as root")
    started: list[subprocess.Popen[bytes]] = []

    def start(mode: str, size: int) -> str:
        name, listen = f"pooled_{time.monotonic_ns()}", free_port()
        postgres.url(name)
        folder = Path(memory_folder() or tmp_path) / name  # where another user may read
        folder.mkdir()
        config = folder / "pgbouncer.ini"
        config.write_text(_CONFIG.format(name=name, port=postgres.port, listen=listen, mode=mode, size=size))
        nobody = "nobody" if os.getuid() == 0 else None  # it refuses to run as root
        if nobody is not None:
            os.chown(folder, pwd.getpwnam(nobody).pw_uid, -1)
        log = open(tmp_path / f"{name}.log", "wb")  # noqa: SIM115 - the process writes on
        started.append(subprocess.Popen(["pgbouncer", str(config)], stdout=log, stderr=log, cwd="/", user=nobody))
        log.close()
        return f"postgres://visant@127.0.0.1:{listen}/{name}"

    yield start
    for process in started:
        process.kill()
        process.wait(20)
    for folder in Path(memory_folder() or tmp_path).glob("pooled_*"):
        shutil.rmtree(folder, ignore_errors=True)


async def settled(url: str) -> str:
    """What the cloud makes of the URL, as soon as the pooler answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await pooler.settled(url)
            except OSError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(("mode", "size"), [("session", 5), ("transaction", 5), ("transaction", 1)])
async def test_a_pooler_in_transaction_mode_is_noticed_at_every_start(pgbouncer: Pooled, mode: str, size: int) -> None:
    url = pgbouncer(mode, size).replace("postgres:", "postgresql:")
    wanted = f"{url}?pgbouncer=true" if mode == "transaction" else url
    for _ in range(3):  # the statement of an earlier start lies at the server
        assert await settled(url) == wanted


async def test_a_database_without_a_pooler_is_taken_as_it_is(postgres: PostgresServer) -> None:
    url = postgres.url(f"direct_{time.monotonic_ns()}").replace("postgres:", "postgresql:")
    assert await pooler.settled(url) == url
    assert await pooler.settled("sqlite+aiosqlite:////nowhere.db") == "sqlite+aiosqlite:////nowhere.db"


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_triggers_at_once_through_a_pooler_are_all_accepted(pgbouncer: Pooled, mode: str, tmp_path: Path) -> None:
    url = pgbouncer(mode, 5 if mode == "transaction" else 30)  # a session holds a server connection as long as it lives
    cloud = Process(tmp_path, DATABASE_URL=url)
    try:
        await asyncio.to_thread(cloud.start)
        async with httpx.AsyncClient(base_url=cloud.url, timeout=60) as client:
            for number in range(5):
                assert (await client.post("/v1/devices", json={"device_id": f"D{number}"})).status_code == 201
            asked = (client.post(f"/v1/devices/D{number % 5}/trigger") for number in range(100))
            assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
            for number in range(5):
                rows = (await client.get(f"/v1/devices/D{number}/triggers")).json()["triggers"]
                assert len(rows) == 20
        made = await asyncio.to_thread(cloud.run, "create-token", "ci")
        assert made.returncode == 0, made.stderr
        assert "Traceback" not in cloud.log.read_text() and "does not answer" not in cloud.log.read_text()
    finally:
        cloud.end()
