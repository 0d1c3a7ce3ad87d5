"""Ten cameras for two days over HTTP: a whole cloud in this process on the bench's clock, real streams, real webhooks.

What is measured ends when the webhook's peer has the message. Loops that the cloud runs by time (rounds, outbox) are
stepped; everything else is as it runs.
"""

import asyncio
import json
import math
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.bench.alerts import mix
from tests.bench.alerts.findings import Record, Said
from tests.bench.alerts.month import sites_of
from tests.bench.alerts.world import Device, World
from visant_cloud import server
from visant_cloud.alerts.rounds import TICK, AlertRounds
from visant_cloud.app import create_app
from visant_cloud.captures.at_start import prepare_storage, storage_of
from visant_cloud.channels.outbox import Outbox
from visant_cloud.commands.hub import CommandHub
from visant_cloud.commands.stream_journal import StreamJournal
from visant_cloud.context import Cloud
from visant_cloud.database.engine import Database
from visant_cloud.settings import CloudSettings
from visant_cloud.store.schema import migrate
from visant_runtime.lifecycle import Stop

_START = datetime(2026, 7, 1, tzinfo=UTC)
_QUIET = 30.0
"""Seconds between rounds while nothing happens and nothing is on its way: as on a busy machine."""


class Road:
    """One run. `rate`: faults come so much oftener than the mix says."""

    def __init__(self, seed: int, cameras: int, days: float, rate: float) -> None:
        self._seconds = days * mix.DAY
        self._sites = sites_of(cameras)
        faults = mix.happen(seed, self._sites, self._seconds, rate)
        self.record = Record(cameras, self._seconds, faults)
        self._world = World(seed, self._sites, faults, self._seconds)
        self._doings: list[tuple[str, Device, Any]] = []
        self._world.connect = lambda device: self._doings.append(("connect", device, None))
        self._world.cut = lambda device: self._doings.append(("cut", device, None))
        self._world.say = lambda device, told: self._doings.append(("say", device, told))
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._arrived: list[tuple[float, dict[str, Any]]] = []

    def now(self) -> datetime:
        """The cloud's clock."""
        return _START + timedelta(seconds=self._world.at)

    async def run(self) -> Record:
        """All of it."""
        with tempfile.TemporaryDirectory(prefix="visant-bench-") as folder:
            async with self._cloud(Path(folder)) as (cloud, url), self._hook() as hook:
                rounds, outbox = AlertRounds(cloud, "bench", lambda: self._world.at), Outbox(cloud)
                async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                    await self._begin(client, hook)
                    try:
                        await self._live(client, cloud, rounds, outbox)
                    finally:
                        for task in self._streams.values():
                            task.cancel()
                        await asyncio.gather(*self._streams.values(), return_exceptions=True)
        return self._judged()

    async def _begin(self, client: httpx.AsyncClient, hook: str) -> None:
        new = {"type": "webhook", "name": "bench", "target": hook}
        (await client.post("/v1/channels", json=new)).raise_for_status()
        for site, names in self._sites.items():
            for name in names:
                (await client.post("/v1/devices", json={"device_id": name})).raise_for_status()
                (await client.patch(f"/v1/devices/{name}", json={"site": site})).raise_for_status()
                await self._connect(client, name)

    async def _live(self, client: httpx.AsyncClient, cloud: Cloud, rounds: AlertRounds, outbox: Outbox) -> None:
        at = busy_until = 0.0
        while at < self._seconds:
            due = math.ceil(max(0.0, self._world.next_at - at) / TICK) * TICK
            at += TICK if at < busy_until else min(max(due, TICK), _QUIET)
            self._world.pass_to(at)
            doings, self._doings = self._doings, []
            for what, device, told in doings:
                if what == "say":
                    path = f"/v1/devices/{device.name}/telemetry"
                    (await client.post(path, json=told)).raise_for_status()
                    busy_until = at + 180.0 if told["state"] == "degraded" else busy_until
                    continue
                if what == "cut":
                    self._streams.pop(device.name).cancel()
                else:
                    await self._connect(client, device.name)
                wanted = int(what == "connect")
                while cloud.hub.subscribers(device.name) != wanted:  # it notices the end a moment later
                    await asyncio.sleep(0.002)
                busy_until = at + 600.0
            if await rounds.round():
                busy_until = at + 600.0
            while await outbox.send_due():
                pass

    async def _connect(self, client: httpx.AsyncClient, name: str) -> None:
        there = asyncio.Event()

        async def read() -> None:
            async with client.stream("GET", f"/v1/devices/{name}/commands", timeout=None) as response:
                async for _ in response.aiter_bytes():
                    there.set()

        self._streams[name] = asyncio.create_task(read())
        async with asyncio.timeout(30):
            await there.wait()

    @asynccontextmanager
    async def _hook(self) -> AsyncIterator[str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self._arrived.append((self._world.at, json.loads(await reader.readexactly(length))))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"

    @asynccontextmanager
    async def _cloud(self, folder: Path) -> AsyncIterator[tuple[Cloud, str]]:
        given: dict[str, Any] = {"auth": "open", "data_dir": folder, "port": 0, "http_host": "127.0.0.1"}
        settings = CloudSettings(**given, min_free_bytes=0, alert_allow_private=True)
        database = Database(settings.engine_url())
        cloud_id = await migrate(database)
        pictures = storage_of(settings, cloud_id)
        await prepare_storage(settings, pictures)
        journal = StreamJournal(database, self.now)
        cloud = Cloud(settings, database, cloud_id, CommandHub(), pictures, journal, self.now)
        listener, stop = server.listen(settings), Stop()
        journalling = asyncio.create_task(journal.run())
        serving = asyncio.create_task(server.serve(create_app(cloud), cloud, listener, stop))
        try:
            yield cloud, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            await serving
            journalling.cancel()
            await asyncio.gather(journalling, return_exceptions=True)
            cloud.decoders.close()
            await database.close()

    def _judged(self) -> Record:
        for at, message in self._arrived:
            self.record.opened += message["type"] == "alert.opened"
            self.record.cleared += message["type"] == "alert.cleared"
            for one in message["data"]["alerts"] if message["type"] == "alert.opened" else ():
                opened = (datetime.fromisoformat(one["opened_at"]) - _START).total_seconds()
                self.record.said.append(Said(one["device_id"], one["kind"], opened, at))
        return self.record
