"""`python -m tests.bench.lists [DEVICES]`: milliseconds that lists of a whole fleet take, beside its rows.

Each is what `GET /v1/devices` does between request and bytes: the page is found, its hundred devices are read and
written as JSON, in this process; nine of ten devices are connected. The least and the median of 15, on SQLite and on
PostgreSQL: on a machine that does other work the least is what it takes.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, insert, select, text

from tests.bench.rows import Row, last_line, table
from tests.support.many_devices import create_many
from tests.support.postgres import PostgresServer
from visant_cloud.database.engine import Database
from visant_cloud.fleet import device_rows, filter
from visant_cloud.settings import database_url
from visant_cloud.store import device_search, tables
from visant_cloud.store.schema import migrate
from visant_cloud.store.scope import Scope

_AIM = 50.0
_TIMES = 15
_LISTS: dict[str, dict[str, Any]] = {
    "trouble first": {},
    "the last page by name": {"sort": "-name"},
    "state and group": {"chosen": "state:offline group:north"},
    "tag, version, words": {"chosen": "tag:door version:<2.1 name~lobby"},
    "not in a group": {"chosen": "-group:north -tag:door"},
}


async def _seed(database: Database, devices: int) -> None:
    now = datetime.now(UTC)
    told = {"device_version": "2.0.0", "state": "ok", "camera": {"state": "ok"}, "filler": "x" * 1200}
    async with database.writing() as connection:
        await create_many(connection, [f"FLOOR-{number:05}" for number in range(devices)], now)
        sql = [
            "UPDATE devices SET name = 'Lobby ' || substr(device_id, 7), site = 'Plant ' || substr(device_id, 10)",
            "UPDATE devices SET search = lower(device_id || chr(10) || name || chr(10) || site)",
            "UPDATE devices SET device_version = '2.' || substr(device_id, 11, 1) || '.0'",
            "INSERT INTO device_groups (name, created_at) VALUES ('north', '2026-11-30 12:00:00')",
            "INSERT INTO group_members (group_id, device_key) SELECT 1, device_key FROM devices "
            "WHERE substr(device_id, 11, 1) < '5'",
            "INSERT INTO device_tags (device_key, tag) SELECT device_key, 'door' FROM devices "
            "WHERE substr(device_id, 10, 1) < '5'",
        ]
        for one in sql:
            await connection.execute(text(one.replace("chr(", "char(") if database.sqlite else one))
        state = tables.device_states.update().values(telemetry=told, telemetry_at=now, last_seen_at=now)
        await connection.execute(state)
        await connection.execute(
            insert(tables.alerts),
            [
                {
                    "organisation_id": "default",
                    "subject": key,
                    "device_key": key,
                    "kind": "silent",
                    "opened_at": now,
                    "detail": "x",
                    "remedy": "x",
                }
                for key in (f"FLOOR-{number:05}" for number in range(0, devices, 20))
            ],
        )
    if not database.sqlite:
        async with database.engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))


async def _measure(name: str, database: Database, devices: int) -> list[Row]:
    streams = {f"FLOOR-{number:05}": 1 for number in range(devices) if number % 10}
    hub = SimpleNamespace(subscribers=lambda key: streams.get(key, 0))
    cloud: Any = SimpleNamespace(hub=hub, now=lambda: datetime.now(UTC))
    found = []
    for what, given in _LISTS.items():
        terms = filter.parse(given.get("chosen", ""))
        took = []
        for _ in range(_TIMES + 1):
            began = time.perf_counter()
            async with database.reading() as connection:
                page = await device_search.page(
                    connection, Scope(), terms, streams, sort=given.get("sort", "trouble"), limit=100
                )
                rows = await device_rows.of_keys(connection, cloud, "default", page.device_keys)
            json.dumps(rows)
            took.append(1000 * (time.perf_counter() - began))
        took = sorted(took[1:])
        median = statistics.median(took)
        print(f"{name}, {what}: {page.total} of {devices} fit, {len(rows)} shown, median {median:.1f} ms", flush=True)
        found.append(Row(f"{name}, {what}, ms", took[0], aim=_AIM))
    return found


async def _of(name: str, url: str, devices: int) -> list[Row]:
    database = Database(database_url(url))
    await migrate(database)
    await _seed(database, devices)
    async with database.reading() as connection:
        count = (await connection.execute(select(func.count()).select_from(tables.devices))).scalar_one()
    rows = await _measure(name, database, int(count))
    await database.close()
    return rows


def main() -> None:
    """Prints a table and, last, one line of JSON."""
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="visant-lists-") as folder, PostgresServer() as postgres:
        found = asyncio.run(_of("sqlite", f"sqlite:///{Path(folder) / 'cloud.db'}", devices))
        found += asyncio.run(_of("postgresql", postgres.url("lists"), devices))
    print(table(found))
    print(last_line(found))


if __name__ == "__main__":
    main()
