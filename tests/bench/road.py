"""One trigger's road beside its floor: the same durable steps in straight lines, by turns with ours, in the same run.

Floor: a committed row (SQLite, WAL, synchronous=FULL), one SSE line over loopback, the admission script in a Redis with
appendfsync always, a spool file with its two syncs, a picture file with its two syncs and its committed row. Nothing is
parsed, acknowledged, uploaded or decoded there. Ours is the whole system, from the request until the device has its
receipt; the wait for an exposure is taken out, and its camera is an image file.
"""

import asyncio
import json
import math
import os
import socket
import sqlite3
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import redis

from emulation.wait import until
from tests.bench.rows import Row
from tests.bench.uplink import SECONDS, idle_scenario
from tests.bench.usage import usage
from tests.faults.arena import Arena, arena
from tests.support.pictures import room
from tests.support.redis import RedisServer
from visant_contract.stream import ADMITTED, ADMITTED_ENTRY, DEADLINES, ENTRY_FIELD, GROUP, STREAM
from visant_runtime import durable
from visant_uploader.spool.writing import write_durably

COUNT = int(2 * SECONDS)
"""Triggers."""
MOST_P50, MOST_P99 = 1.5, 2.0
"""Times the floor; the aims."""
_PAUSE = 0.25
"""Seconds between two: what one leaves behind (journal, telemetry) is not the next one's."""
_ENTRY = json.dumps({"deadline": {"boot_id": "boot", "boottime": 1.0}, "padding": "x" * 300})

Stages = dict[str, float]
"""Seconds, by stage, in order."""


class Floor:
    """The bare steps, each blocking; as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("draft", "spool", "pictures"):
            (folder / name).mkdir(parents=True)
        self._database = sqlite3.connect(folder / "cloud.db", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, text TEXT)")
        self._server = RedisServer(folder / "redis")
        listening = socket.create_server(("127.0.0.1", 0))
        self._cloud = socket.create_connection(listening.getsockname())
        self._device, _ = listening.accept()
        listening.close()

    def __enter__(self) -> "Floor":
        self._server.start()
        self._redis: Any = redis.Redis.from_url(self._server.url)
        script = resources.files("visant_connector").joinpath("admit.lua").read_text()
        self._sha = self._redis.script_load(script)
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()
        self._server.kill()
        self._database.close()
        self._cloud.close()
        self._device.close()

    def once(self, number: int, picture: bytes) -> Stages:
        """One trigger."""
        name, marks = f"trigger-{number}", [time.perf_counter()]

        def mark() -> None:
            marks.append(time.perf_counter())

        self._row(f"trigger {name}")
        self._cloud.sendall(f"id: {number}\ndata: {_ENTRY}\n\n".encode())
        received = self._device.recv(1 << 16)
        assert received.endswith(b"\n\n")
        keys = (STREAM, ADMITTED, ADMITTED_ENTRY, DEADLINES)
        self._redis.evalsha(self._sha, len(keys), *keys, _ENTRY, name, "{}", "1", ENTRY_FIELD, GROUP, 20_000)
        mark()
        write_durably([picture], self._folder / "draft" / name, self._folder / "spool" / name)
        mark()
        durable.write(self._folder / "pictures" / f"{name}.jpg", [picture])
        self._row(f"picture {name}")
        mark()
        return dict(zip(("admitted", "spooled", "stored"), (b - a for a, b in pairwise(marks)), strict=True))

    def _row(self, key: str) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("INSERT INTO rows VALUES (?, ?)", (key, _ENTRY))
        self._database.execute("COMMIT")


def _events(log: Path, event: str) -> dict[str, Mapping[str, Any]]:
    """The lines of one kind, by trigger."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in log.read_text().splitlines():
        start = line.find("{")
        if start < 0 or f'"{event}"' not in line:
            continue
        said = json.loads(line[start:])
        if said.get("event") == event:
            found[said["trigger_id"]] = said
    return found


def _at(said: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(said["at"]).timestamp()


async def _ours(world: Arena, began: Mapping[str, float]) -> list[Stages]:
    rows = await world.target.triggers(world.device.device_id)
    admitted = _events(world.logs.path("connector"), "admitted")
    captured = _events(world.logs.path("uploader"), "captured")
    delivered = _events(world.logs.path("uploader"), "delivered")
    found = []
    for trigger, start in began.items():
        spooled = _at(captured[trigger])
        exposed = spooled - captured[trigger]["seconds_to_disk"]
        asked = exposed - captured[trigger]["seconds_to_exposure"]
        stored_at = rows[trigger].stored_at
        assert stored_at is not None
        received = stored_at.timestamp()
        found.append(
            {
                "admitted": _at(admitted[trigger]) - start,
                "asked": asked - _at(admitted[trigger]),
                "spooled": spooled - exposed,
                "received": received - spooled,
                "stored": _at(delivered[trigger]) - received,
            }
        )
    return found


def _percentile(values: Sequence[float], share: float) -> float:
    """In milliseconds, nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] * 1000


async def road(base: Path) -> list[Row]:
    """Takes about 40 s, and SECONDS."""
    picture = room()
    source = base / "room.jpg"
    source.write_bytes(picture)
    settings = {"CAMERA_SOURCE": str(source), "LOG_FORMAT": "json", "TELEMETRY_INTERVAL": "86400"}
    began: dict[str, float] = {}
    floors: list[Stages] = []
    async with arena(idle_scenario("road", settings, prepare=None), base) as world:
        await world.start()
        before: dict[str, float] = {}
        with Floor(base / "floor") as floor:
            for number in range(COUNT + 5):
                start = time.time()
                trigger = await world.target.trigger(world.device.device_id, f"road-{os.getpid()}-{number}")
                await asyncio.sleep(_PAUSE)
                stages = await asyncio.to_thread(floor.once, number, picture)
                if number == 4:
                    before = _cpu(world)
                if number >= 5:  # the first ones open connections
                    began[trigger] = start
                    floors.append(stages)
        uploader = world.logs.path("uploader")

        async def all_there() -> bool:
            return began.keys() <= _events(uploader, "delivered").keys()

        await until("every picture is delivered", all_there, within=60.0)
        ours = await _ours(world, began)
        spent = {name: (after - before[name]) / COUNT for name, after in _cpu(world).items()}
    return [*_rows(ours, floors), *(Row(f"road_{name}_cpu_ms", seconds * 1000) for name, seconds in spent.items())]


def _cpu(world: Arena) -> dict[str, float]:
    """Seconds so far, by process."""
    return {name: usage(child.pid).cpu for name, child in world.children.items() if child.pid is not None}


def _rows(ours: Sequence[Stages], floors: Sequence[Stages]) -> list[Row]:
    totals, bare = [sum(one.values()) for one in ours], [sum(one.values()) for one in floors]
    rows = [
        Row("road_p50_ms", _percentile(totals, 0.5), _percentile(bare, 0.5), MOST_P50),
        Row("road_p99_ms", _percentile(totals, 0.99), _percentile(bare, 0.99), MOST_P99),
    ]
    for stage in ours[0]:
        floor = [one[stage] for one in floors if stage in one]
        rows.append(
            Row(
                f"road_until_{stage}_p50_ms",
                _percentile([one[stage] for one in ours], 0.5),
                _percentile(floor, 0.5) if floor else None,
            )
        )
    return rows
