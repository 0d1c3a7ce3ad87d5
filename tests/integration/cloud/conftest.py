"""A whole cloud in this process, once on SQLite and once on PostgreSQL, with a clock that tests move."""

import asyncio
import base64
import io
import json
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import delete

from tests.support.postgres import PostgresServer
from tests.support.swift import SwiftServer
from tests.support.swift import missing as missing_swift
from visant_cloud import server
from visant_cloud.access import credentials
from visant_cloud.app import create_app
from visant_cloud.captures.at_start import prepare_storage, storage_of
from visant_cloud.captures.decoding.pool import DecoderPool
from visant_cloud.captures.local_folder import LocalFolder
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.stream_journal import StreamJournal
from visant_cloud.context import Cloud
from visant_cloud.database.engine import Database
from visant_cloud.settings import CloudSettings
from visant_cloud.settings import database_url as engine_url
from visant_cloud.store import trigger_creation
from visant_cloud.store.schema import migrate
from visant_cloud.store.tables import meta
from visant_runtime.lifecycle import Stop


class Time:
    """The cloud's clock: real time plus what the test added."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_(self, seconds: float) -> None:
        """So much later."""
        self.ahead += timedelta(seconds=seconds)


class Stream:
    """What a device has read so far; `next()` waits for one more message."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.id: str | None = None
        self.raw: list[str] = []

    async def next(self, timeout: float = 60.0) -> dict[str, Any]:
        async with asyncio.timeout(timeout):
            async for line in self._lines:
                self.raw.append(line)
                if line.startswith("id:"):
                    self.id = line[3:].strip()
                if line.startswith("data:"):
                    return dict(json.loads(line[5:]))
        raise EOFError

    async def command(self, timeout: float = 60.0) -> dict[str, Any]:
        while "cmd" not in (message := await self.next(timeout)):
            pass
        return message

    async def ended(self, timeout: float = 60.0) -> bool:
        try:
            while True:
                await self.next(timeout)
        except (EOFError, httpx.RemoteProtocolError, httpx.ReadError):
            return True


class Running:
    """A cloud that listens on loopback."""

    def __init__(self, cloud: Cloud, url: str, time: Time) -> None:
        self.cloud = cloud
        self.url = url
        self.time = time
        self.client = httpx.AsyncClient(base_url=url, timeout=20)

    @asynccontextmanager
    async def stream(self, device_id: str, token: str | None = None, **query: str) -> AsyncIterator[Stream]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        path = f"/v1/devices/{device_id}/commands"
        async with self.client.stream("GET", path, params=query, headers=headers, timeout=30) as response:
            if response.status_code != 200:
                await response.aread()
                response.raise_for_status()
            yield Stream(response)

    async def register(self, device_id: str = "D1") -> None:
        """A device that connected once and has left: the cloud knows both."""
        async with self.stream(device_id) as stream:
            await stream.next()
        while self.cloud.hub.subscribers(device_id):  # it notices the end a moment later
            await asyncio.sleep(0.01)

    async def trigger(self, device_id: str, **body: Any) -> str:
        answer = await self.client.post(f"/v1/devices/{device_id}/trigger", json=body or None)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["trigger_id"])

    async def triggers(self, device_id: str, count: int) -> list[str]:
        """Many at once, past HTTP."""
        async with self.cloud.database.writing() as connection:
            made = [await trigger_creation.create(connection, device_id, self.time(), 120.0) for _ in range(count)]
        self.cloud.hub.nudge(device_id)
        return [row.trigger_id for row, _ in made]

    async def capture(self, device_id: str, trigger_id: str | None, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        return await self.client.post("/v1/captures", json=upload(device_id, trigger_id, **more), headers=headers)

    def files(self) -> list[Path]:
        """Every picture, thumbnail and draft on the disk."""
        folders = LocalFolder(self.cloud.settings.data_dir / "pictures").folders()
        return [path for folder in folders for path in folder.iterdir() if path.is_file()]

    async def row(self, device_id: str, trigger_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/triggers/{device_id}/{trigger_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def jpeg(width: int = 64, height: int = 48, colour: int = 120) -> bytes:
    """A real, small picture."""
    data = io.BytesIO()
    Image.new("RGB", (width, height), (colour, 80, 40)).save(data, "JPEG")
    return data.getvalue()


def upload(device_id: str, trigger_id: str | None, **more: Any) -> dict[str, Any]:
    """A capture as a device sends it."""
    body: dict[str, Any] = {
        "device_id": device_id,
        "image_base64": base64.b64encode(more.pop("image", jpeg())).decode(),
        "captured_at": datetime.now(UTC).isoformat(),
        "metadata": {"trigger_type": "manual"},
    }
    if trigger_id is not None:
        body["trigger_id"] = trigger_id
    return {**body, **more}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture(scope="session")
def swift() -> Iterator[SwiftServer]:
    """An S3 server. Tests that use it are of the group `swift`: one process of pytest starts one."""
    why_not = missing_swift()
    if why_not is not None:
        pytest.skip(why_not)
    with SwiftServer() as running:
        yield running


@pytest.fixture
def bucket(swift: SwiftServer) -> str:
    """A new, empty one."""
    name = f"pictures-{secrets.token_hex(8)}"
    swift.make_bucket(name)
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Every test runs on both."""
    return str(request.param)


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest) -> str | None:
    """An empty database. None: SQLite in the data folder."""
    if engine == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(f"t{secrets.token_hex(8)}")


async def _migrated(url: str) -> None:
    """Brings it to the schema, and takes away its identity: each copy gets its own."""
    database = Database(url)
    await migrate(database)
    async with database.writing() as connection:
        await connection.execute(delete(meta))
    await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database to copy: the migrations run once, not for each test."""
    path = tmp_path_factory.mktemp("template") / "cloud.db"
    asyncio.run(_migrated(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of the same on PostgreSQL."""
    asyncio.run(_migrated(engine_url(postgres.url("template"))))
    return "template"


@pytest.fixture
def migrated_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """An empty database that has the schema. None: SQLite in `tmp_path / "cloud"`."""
    if engine == "sqlite":
        (tmp_path / "cloud").mkdir()
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "cloud" / "cloud.db")
        return None
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(f"t{secrets.token_hex(8)}", request.getfixturevalue("postgres_template"))


_made: list[FastAPI] = []


def _app(cloud: Cloud) -> FastAPI:
    """What `create_app` makes, made once: FastAPI works each route out at its first request, which takes 0.1 s of CPU.

    All that an application knows of its cloud is `app.state.cloud`, and one cloud runs at a time.
    """
    if not _made:
        _made.append(create_app(cloud))
    _made[0].state.cloud = cloud
    return _made[0]


@pytest.fixture(scope="session")
def all_decoders() -> Iterator[list[DecoderPool]]:
    """Of all clouds in this process, the newest last: a decoder's start costs more than most pictures of a test."""
    pools: list[DecoderPool] = []
    yield pools
    for pool in pools:
        pool.close()


@pytest.fixture
def decoders(all_decoders: list[DecoderPool]) -> DecoderPool:
    """Open ones; a cloud that took long to end has closed its own."""
    if not all_decoders or all_decoders[-1].closed:
        all_decoders.append(DecoderPool(16 << 20))
    return all_decoders[-1]


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(
    tmp_path: Path, migrated_url: str | None, decoders: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Start]:
    """`await start(auth="open", ping_every=0.2)`: a cloud with these settings; again: a restart on the same data."""
    for name in CloudSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    # A hash that costs a thousandth: what a real one costs is test_an_unknown_name_takes_as_long_as_a_wrong_password's.
    monkeypatch.setattr(credentials, "_passwords", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(credentials, "_NOBODY", [])
    running: list[Callable[[], Awaitable[None]]] = []

    async def end_all() -> None:
        while running:
            await running.pop()()

    async def starting(**chosen: Any) -> Running:
        await end_all()
        given = {"auth": "open", "data_dir": tmp_path / "cloud", "database_url": migrated_url}
        settings = CloudSettings(**{**given, "port": 0, "http_host": "127.0.0.1", "min_free_bytes": 0, **chosen})
        database = Database(settings.engine_url())
        cloud_id = await migrate(database)
        pictures = storage_of(settings, cloud_id)
        await prepare_storage(settings, pictures)
        time = Time()
        journal = StreamJournal(database, time)
        cloud = Cloud(settings, database, cloud_id, CommandHub(), pictures, journal, time)
        cloud.decoders = decoders
        app = _app(cloud)
        listener = server.listen(settings)
        one = Running(cloud, f"http://127.0.0.1:{listener.getsockname()[1]}", time)
        stop = Stop()
        journalling = asyncio.create_task(journal.run())
        serving = asyncio.create_task(server.serve(app, cloud, listener, stop))

        async def end() -> None:
            await one.client.aclose()
            stop.set()
            await serving
            journalling.cancel()
            await asyncio.gather(journalling, return_exceptions=True)
            await database.close()

        running.append(end)
        return one

    yield starting
    await end_all()


async def until(condition: Callable[[], Awaitable[Any]], timeout: float = 60.0) -> Any:
    """What `condition` gives as soon as it is true."""
    async with asyncio.timeout(timeout):
        while not (found := await condition()):
            await asyncio.sleep(0.01)
    return found


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    return until


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return jpeg


@pytest.fixture
def upload_body() -> Callable[..., dict[str, Any]]:
    return upload
