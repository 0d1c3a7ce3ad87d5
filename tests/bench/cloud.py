"""`make bench-cloud`: many devices on one cloud process, on SQLite and on PostgreSQL, beside the bare work.

Every device holds a stream, all are triggered at once, and each answers with one picture. *Bare* does what a picture
needs and nothing else, one after the other: base64, decode to a thumbnail, file with fsync, a committed row.
The devices are fakes that speak the wire's plain form; cloud and database are the real ones.
"""

import asyncio
import base64
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.cloud_process import Process
from tests.support.postgres import PostgresServer
from visant_cloud.captures.decode import decode
from visant_cloud.captures.local_folder import LocalFolder
from visant_cloud.captures.storage import PictureName

DEVICES = int(os.environ.get("BENCH_DEVICES") or 1000)
_AT_ONCE = 64
"""Connections that are opened, and pictures that are under way, at the same time."""
_WITHIN = 600.0


def picture() -> bytes:
    """A JPEG of 1920x1080 with as much detail as a room has: about 370 kB."""
    noise = np.random.default_rng(1).integers(0, 256, (270, 480, 3), np.uint8)
    room = cv2.GaussianBlur(cv2.resize(noise, (1920, 1080), interpolation=cv2.INTER_CUBIC), (0, 0), 4)
    return cv2.imencode(".jpg", room, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


@dataclass
class Fleet:
    """Fake devices at one cloud, and when each got its command."""

    url: str
    image: str
    heard: dict[str, float] = field(default_factory=dict)
    connected: int = 0
    answered: int = 0
    """Pictures that the cloud stored or refused."""
    refused: list[str] = field(default_factory=list)
    streams: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        where = urlsplit(self.url)
        self._host, self._port = str(where.hostname), int(where.port or 80)
        self._uploads = asyncio.Semaphore(_AT_ONCE)
        self._http = httpx.AsyncClient(base_url=self.url, timeout=120, limits=httpx.Limits(max_connections=_AT_ONCE))

    async def device(self, name: str) -> None:
        """Holds a stream until it is cancelled, and answers every command."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(f"GET /v1/devices/{name}/commands HTTP/1.1\r\nHost: cloud\r\n\r\n".encode())
            while line := await reader.readline():
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line[5:])
                self.connected += event.get("event") == "connected"
                if event.get("cmd") == "capture":
                    self.heard[event["trigger_id"]] = time.monotonic()
                    await self._upload(name, event["trigger_id"])
        finally:
            writer.close()

    async def _upload(self, device: str, trigger: str) -> None:
        body = {
            "device_id": device,
            "trigger_id": trigger,
            "image_base64": self.image,
            "captured_at": datetime.now(UTC).isoformat(),
            "metadata": {"device_version": "2.0.0"},
        }
        async with self._uploads:
            while True:
                try:
                    answer = await self._http.post("/v1/captures", json=body)
                    break
                except httpx.TransportError:  # a connection that the cloud closed just then; a device tries again, too
                    await asyncio.sleep(0.1)
        self.answered += 1
        if answer.status_code not in (200, 201):
            self.refused.append(f"{answer.status_code}: {answer.text[:200]}")

    async def trigger(self, name: str) -> tuple[str, float]:
        """The new trigger's id, and when it was asked for."""
        began = time.monotonic()
        answer = (await self._http.post(f"/v1/devices/{name}/trigger")).raise_for_status()
        return str(answer.json()["trigger_id"]), began

    async def close(self) -> None:
        """Ends its connections."""
        await self._http.aclose()

    async def reached(self, count: Callable[[], int], wanted: int) -> None:
        """Waits until `count()` is `wanted`; raises when a stream ends meanwhile."""
        deadline = time.monotonic() + _WITHIN
        while count() < wanted:
            for stream in self.streams:
                if stream.done():
                    raise RuntimeError(f"a device's stream ended: {stream.exception()!r}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count()} of {wanted} within {_WITHIN:.0f} s")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def connected(fleet: Fleet, names: list[str]) -> AsyncIterator[float]:
    """Every device holds its stream; the seconds that took."""
    began = time.monotonic()
    try:
        for start in range(0, len(names), _AT_ONCE):
            fleet.streams += [asyncio.create_task(fleet.device(name)) for name in names[start : start + _AT_ONCE]]
            await fleet.reached(lambda: fleet.connected, len(fleet.streams))
        yield time.monotonic() - began
    finally:
        for stream in fleet.streams:
            stream.cancel()
        await asyncio.gather(*fleet.streams, return_exceptions=True)
        await fleet.close()


async def _measure(url: str, pid: int, image: str) -> dict[str, float]:
    fleet, names = Fleet(url, image), [f"BENCH-{number}" for number in range(DEVICES)]
    async with connected(fleet, names) as opened:
        alone: list[float] = []
        for name in names[:50]:
            trigger, began = await fleet.trigger(name)
            await fleet.reached(lambda: fleet.answered, len(alone) + 1)
            alone.append(fleet.heard[trigger] - began)
        before, cpu, began = fleet.answered, _cpu_seconds(pid), time.monotonic()
        asked = dict(await asyncio.gather(*(fleet.trigger(name) for name in names)))
        await fleet.reached(lambda: fleet.answered, before + DEVICES)
        took = time.monotonic() - began
        if fleet.refused:
            raise RuntimeError(f"{len(fleet.refused)} pictures were refused: {fleet.refused[0]}")
        together = [fleet.heard[trigger] - at for trigger, at in asked.items()]
        return {
            "connect_s": opened,
            "trigger_p50_ms": quantiles(alone, n=100)[49] * 1000,
            "all_at_once_p99_ms": quantiles(together, n=100)[98] * 1000,
            "pictures_per_s": DEVICES / took,
            "cpu_ms_a_picture": (_cpu_seconds(pid) - cpu) / DEVICES * 1000,
            "rss_mib": _rss_mib(pid),
        }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def bare(image: str, folder: Path) -> dict[str, float]:
    """The same pictures without HTTP, devices or triggers."""
    pictures = LocalFolder(folder / "pictures")
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE c (id TEXT PRIMARY KEY)")
    began, cpu, now = time.monotonic(), time.process_time(), datetime.now(UTC)
    for number in range(DEVICES):
        found = decode(base64.b64decode(image, validate=True))
        pictures.write(found, PictureName(f"BENCH-{number}", now, str(number)))
        database.execute("INSERT INTO c VALUES (?)", (str(number),))
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    return {"pictures_per_s": DEVICES / took, "cpu_ms_a_picture": cpu / DEVICES * 1000}


def _on(database: str, folder: Path, image: str) -> dict[str, float]:
    folder.mkdir()
    cloud = Process(folder, **({"DATABASE_URL": database} if database else {}))
    try:
        cloud.start()
        return asyncio.run(_measure(cloud.url, cloud.popen.pid, image))
    finally:
        cloud.end()


def main() -> int:
    """0, or an exception that says what went wrong."""
    jpeg = picture()
    image = base64.b64encode(jpeg).decode()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="visant-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        rows["bare"] = bare(image, folder)
        rows["sqlite"] = _on("", folder / "sqlite", image)
        with PostgresServer(fsync=True) as server:
            rows["postgresql"] = _on(server.url("bench"), folder / "postgresql", image)
    columns = list(rows["sqlite"])
    print(f"{DEVICES} devices, pictures of {len(jpeg) // 1000} kB")
    print(" ".join([f"{'':<12}", *(f"{column:>20}" for column in columns)]))
    for row, values in rows.items():
        print(" ".join([f"{row:<12}", *(f"{values[c]:>20.1f}" if c in values else f"{'':>20}" for c in columns)]))
    for row in ("sqlite", "postgresql"):
        rows[row]["times_bare"] = rows["bare"]["pictures_per_s"] / rows[row]["pictures_per_s"]
        print(f"{row}: a picture takes {rows[row]['times_bare']:.2f} times the bare work")
    print(json.dumps({"devices": DEVICES, "picture_bytes": len(jpeg), "rows": rows}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
