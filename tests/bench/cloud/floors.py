"""The floor: a bare ASGI application on uvicorn that does what a cloud must, and nothing else.

With a database a trigger is one indexed read, one committed row and the event on the stream; a picture is a synced
file, a thumbnail and a row. Without one it is the event alone. Nobody is authenticated, nothing is validated.

`python -m tests.bench.cloud.floors PORT STORE FOLDER DEVICES PING_EVERY`, STORE being `none`, `sqlite` or a URL.
"""

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import uvicorn
from PIL import Image

from tests.bench.cloud.names import device_id
from visant_runtime import durable

_CONNECTIONS = 10
"""To PostgreSQL; as many as the cloud's own pool keeps."""
_TICK = 0.5
"""Seconds between two rounds of the schedules."""
_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Store(Protocol):
    """The durable steps."""

    async def trigger(self, device: str, trigger_id: str) -> None:
        """One indexed read, one committed row."""

    async def triggers(self, devices: list[str], trigger_ids: list[str]) -> None:
        """Many rows in one commit."""

    async def capture(self, record_id: str) -> None:
        """One committed row."""


class NoStore:
    """Nothing is kept."""

    async def trigger(self, device: str, trigger_id: str) -> None:
        """Nothing."""

    async def triggers(self, devices: list[str], trigger_ids: list[str]) -> None:
        """Nothing."""

    async def capture(self, record_id: str) -> None:
        """Nothing."""


class Sqlite:
    """WAL, synchronous=FULL, one thread that reads and writes."""

    def __init__(self, folder: Path, devices: int) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._database = sqlite3.connect(folder / "floor.sqlite", isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS devices (device_id TEXT PRIMARY KEY, active INTEGER);"
            "CREATE TABLE IF NOT EXISTS triggers (seq INTEGER PRIMARY KEY, device_id TEXT, trigger_id TEXT UNIQUE,"
            " created_at TEXT, expires_at TEXT);"
            "CREATE TABLE IF NOT EXISTS captures (record_id TEXT PRIMARY KEY);"
        )
        rows = [(device_id(number),) for number in range(devices)]
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR IGNORE INTO devices VALUES (?, 1)", rows)

    async def trigger(self, device: str, trigger_id: str) -> None:
        """One indexed read, one committed row."""
        await self._in_thread(self._trigger, device, trigger_id)

    def _trigger(self, device: str, trigger_id: str) -> None:
        found = self._database.execute("SELECT active FROM devices WHERE device_id = ?", (device,)).fetchone()
        assert found == (1,)
        self._insert([_row(device, trigger_id)])

    async def triggers(self, devices: list[str], trigger_ids: list[str]) -> None:
        """Many rows in one commit."""
        await self._in_thread(self._insert, [_row(*pair) for pair in zip(devices, trigger_ids, strict=True)])

    def _insert(self, rows: list[tuple[str, str, datetime, datetime]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(
            "INSERT INTO triggers (device_id, trigger_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
            [(device, trigger, made.isoformat(), until.isoformat()) for device, trigger, made, until in rows],
        )
        self._database.execute("COMMIT")

    async def capture(self, record_id: str) -> None:
        """One committed row."""
        await self._in_thread(self._database.execute, "INSERT INTO captures VALUES (?)", (record_id,))

    async def _in_thread(self, step: Callable[..., Any], *arguments: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, step, *arguments)


class Postgres:
    """A few connections of the driver, each with its statements prepared."""

    def __init__(self) -> None:
        self._free: asyncio.Queue[tuple[asyncpg.Connection, Any, Any]] = asyncio.Queue()

    async def open(self, url: str, devices: int) -> "Postgres":
        """Makes the tables and the connections."""
        for number in range(_CONNECTIONS):
            connection = await asyncpg.connect(url)
            if number == 0:
                await connection.execute(
                    "CREATE TABLE IF NOT EXISTS devices (device_id varchar PRIMARY KEY, active boolean);"
                    "CREATE TABLE IF NOT EXISTS triggers (seq bigserial PRIMARY KEY, device_id varchar,"
                    " trigger_id varchar UNIQUE, created_at timestamptz, expires_at timestamptz);"
                    "CREATE TABLE IF NOT EXISTS captures (record_id varchar PRIMARY KEY);"
                )
                await connection.executemany(
                    "INSERT INTO devices VALUES ($1, true) ON CONFLICT DO NOTHING",
                    [(device_id(number),) for number in range(devices)],
                )
                await connection.execute("ANALYZE")
            read = await connection.prepare("SELECT active FROM devices WHERE device_id = $1")
            write = await connection.prepare(
                "INSERT INTO triggers (device_id, trigger_id, created_at, expires_at)"
                " VALUES ($1, $2, $3, $4) RETURNING seq"
            )
            self._free.put_nowait((connection, read, write))
        return self

    async def trigger(self, device: str, trigger_id: str) -> None:
        """One indexed read, one committed row."""
        free = await self._free.get()
        try:
            assert await free[1].fetchval(device)
            await free[2].fetchval(*_row(device, trigger_id))
        finally:
            self._free.put_nowait(free)

    async def triggers(self, devices: list[str], trigger_ids: list[str]) -> None:
        """Many rows in one commit."""
        _, _, made, until = _row("", "")
        await self._execute(
            "INSERT INTO triggers (device_id, trigger_id, created_at, expires_at)"
            " SELECT d, t, $3, $4 FROM unnest($1::varchar[], $2::varchar[]) AS rows(d, t)",
            devices,
            trigger_ids,
            made,
            until,
        )

    async def capture(self, record_id: str) -> None:
        """One committed row."""
        await self._execute("INSERT INTO captures VALUES ($1)", record_id)

    async def _execute(self, statement: str, *values: Any) -> None:
        free = await self._free.get()
        try:
            await free[0].execute(statement, *values)
        finally:
            self._free.put_nowait(free)


def _row(device: str, trigger_id: str) -> tuple[str, str, datetime, datetime]:
    now = datetime.now(UTC)
    return device, trigger_id, now, now + timedelta(seconds=120)


class Bare:
    """The application. `ping_every` in seconds."""

    def __init__(self, store: Store, folder: Path, ping_every: float) -> None:
        self._store = store
        self._folder = folder
        self._ping_every = ping_every
        self._streams: dict[str, Send] = {}
        self._made = 0
        self._firing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        words = scope["path"].split("/")
        match words[-1]:
            case "commands":
                await self._stream(words[3], receive, send)
            case "trigger":
                await _body(receive)
                trigger_id = self._id("manual")
                await self._store.trigger(words[3], trigger_id)
                await self._tell(words[3], trigger_id, "manual")
                await _answer(send, {"trigger_id": trigger_id})
            case "captures":
                await self._capture(await _body(receive), send)
            case "on" | "off":
                self._schedule(words[-1] == "on")
                await _answer(send, {})
            case _:
                await _answer(send, {}, 404)

    async def _stream(self, device: str, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send(_event({"event": "connected", "device_id": device}))
        self._streams[device] = send
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._streams.pop(device, None)

    def _id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{os.getpid()}_{self._made}"

    async def _tell(self, device: str, trigger_id: str, kind: str) -> None:
        send = self._streams.get(device)
        if send is not None:
            await send(_event({"cmd": "capture", "trigger_id": trigger_id, "type": kind}))

    async def ping(self) -> None:
        """Every stream once in `ping_every`, a twentieth of them at a time."""
        part = 0
        while True:
            await asyncio.sleep(self._ping_every / 20)
            part = (part + 1) % 20
            for send in list(self._streams.values())[part::20]:
                await send(_event({"event": "ping"}))

    def _schedule(self, on: bool) -> None:
        if on and self._firing is None:
            self._firing = asyncio.create_task(self._fire())
        elif not on and self._firing is not None:
            self._firing.cancel()
            self._firing = None

    async def _fire(self) -> None:
        """Every connected device once a minute."""
        devices = list(self._streams)
        began, fired = asyncio.get_running_loop().time(), 0
        while True:
            await asyncio.sleep(_TICK)
            due = int((asyncio.get_running_loop().time() - began) / 60 * len(devices))
            names = [devices[number % len(devices)] for number in range(fired, due)]
            ids = [self._id("scheduled") for _ in names]
            if names:
                await self._store.triggers(names, ids)
            for name, trigger_id in zip(names, ids, strict=True):
                await self._tell(name, trigger_id, "scheduled")
            fired = due

    async def _capture(self, jpeg: bytes, send: Send) -> None:
        record_id = self._id("capture")
        await asyncio.to_thread(_keep, jpeg, self._folder / f"{record_id}.jpg")
        await self._store.capture(record_id)
        await _answer(send, {"record_id": record_id}, 201)


def _keep(jpeg: bytes, path: Path) -> None:
    with Image.open(BytesIO(jpeg)) as image:
        image.draft("RGB", (320, 180))  # a picture of 16 to 9; asked for 320x320 it is read twice as large
        image.thumbnail((320, 320))
        image.save(path.with_suffix(".thumb.jpg"), "JPEG", quality=80)
    durable.write(path, [jpeg])


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _answer(send: Send, value: dict[str, Any], status: int = 200) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _event(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "http.response.body", "body": f"data: {json.dumps(value)}\n\n".encode(), "more_body": True}


async def _serve(port: int, where: str, folder: Path, devices: int, ping_every: float) -> None:
    store: Store = NoStore()
    if where == "sqlite":
        store = Sqlite(folder, devices)
    elif where != "none":
        store = await Postgres().open(where, devices)
    bare = Bare(store, folder, ping_every)
    config = uvicorn.Config(
        bare,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    pings = asyncio.create_task(bare.ping())
    await uvicorn.Server(config).serve()
    pings.cancel()


def main(words: list[str]) -> int:
    """Serves until it is told to end."""
    import uvloop

    port, where, folder, devices, ping_every = words
    uvloop.run(_serve(int(port), where, Path(folder), int(devices), float(ping_every)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
