"""How long the ledger's queries take on PostgreSQL, over 10,000 devices and 1,000,000 triggers of schedules.

    python -m tests.bench.cloud.ledger [DEVICES TRIGGERS]

Each is asked 20 times, through the functions that the routes call. Printed in ms: the median as the clock on the wall
has it, and the CPU of this process and of PostgreSQL, which a machine that is busy with others changes less. One device
in ten is of a group, one in a hundred has a tag, one trigger in fifty has failed, one in a hundred came late.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.bench.cloud import seed
from tests.support.postgres import PostgresServer
from visant_cloud.database.engine import Database
from visant_cloud.settings import database_url
from visant_cloud.store import ledger, slot_days
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.ledger import Place, Wanted
from visant_cloud.store.schema import migrate
from visant_cloud.store.scope import Scope

ROUNDS = 20
DAYS = 7
_FILL = (
    "INSERT INTO device_groups (organisation_id, group_id, name, created_at) VALUES ('default', 1, 'north', now())",
    "INSERT INTO group_members (organisation_id, group_id, device_key)"
    " SELECT 'default', 1, device_key FROM devices WHERE device_key LIKE '%0'",
    "INSERT INTO device_tags (organisation_id, device_key, tag)"
    " SELECT 'default', device_key, 'door' FROM devices WHERE device_key LIKE '%00'",
    "INSERT INTO triggers (device_key, trigger_id, kind, type, status, reason, gap, provisional, created_at,"
    " expires_at, sent_at, ended_at, history, schedule_id, scheduled_for)"
    " SELECT 'bench-' || lpad((n % CAST(:devices AS int))::text, 5, '0'), 'seed_' || n, 'capture', 'scheduled',"
    " CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'executed' END, CASE WHEN n % 50 = 0 THEN 'camera_absent' END,"
    " CASE WHEN n % 100 = 1 THEN 'late' END, false, t, t + interval '60 s', t, t + interval '1 s', '[]', 1, t"
    " FROM (SELECT n, now() - interval '1 s' - CAST(:days AS int) * interval '1 day' * (1 - n / CAST(:triggers AS"
    " float)) AS t FROM generate_series(1, CAST(:triggers AS int)) AS n) AS made",
    "INSERT INTO captures (record_id, device_key, trigger_id, captured_at, received_at, bytes, width, height, sha256,"
    " thumbnail, metadata) SELECT md5(trigger_id), device_key, trigger_id, created_at, ended_at, 300000, 1920, 1080,"
    " repeat('0', 64), true, '{}' FROM triggers WHERE status = 'executed'",
    "INSERT INTO slot_days (organisation_id, day, device_key, cause, count)"
    " SELECT organisation_id, (created_at AT TIME ZONE 'UTC')::date, device_key,"
    r" CASE WHEN reason IS NOT NULL THEN status || '\: ' || reason ELSE coalesce(gap, 'useful') END, count(*)"
    " FROM triggers GROUP BY 1, 2, 3, 4",
)


def queries(now: datetime) -> dict[str, Callable[[AsyncConnection], Awaitable[Any]]]:
    """name -> what a route asks."""
    first, until = now.date() - timedelta(days=DAYS), now.date() + timedelta(days=1)
    old = Place(now - timedelta(days=DAYS / 2), 1)

    def page(
        wanted: Wanted, after: Place | None = None, limit: int = 100
    ) -> Callable[[AsyncConnection], Awaitable[Any]]:
        return lambda connection: ledger.page(connection, wanted, after, limit)

    def figures(which: ChosenDevices) -> Callable[[AsyncConnection], Awaitable[Any]]:
        return lambda connection: slot_days.causes(
            connection, "default", first, until, None if which.everything else which.query()
        )

    group, day = ChosenDevices(group="north"), timedelta(days=1)
    return {
        "the newest 100": page(Wanted()),
        "100 from the middle": page(Wanted(), old),
        "an hour of three days ago": page(Wanted(since=now - 3 * day, until=now - 3 * day + timedelta(hours=1))),
        "a device": page(Wanted(ChosenDevices(keys=("bench-00007",)))),
        "a group of a tenth": page(Wanted(group)),
        "a tag of a hundredth": page(Wanted(ChosenDevices(tag="door"))),
        "failed": page(Wanted(status="failed"), old),
        "failed in the group": page(Wanted(group, reason="camera_absent"), old),
        "what no trigger is (a page looks at 10,000)": page(Wanted(type="nothing"), old),
        "a day's gaps": page(Wanted(since=now - day, until=now, slots=True, gaps=True)),
        "1000 for a page": page(Wanted(), old, 1000),
        "useful-slot rate of the fleet, 7 days": figures(ChosenDevices()),
        "useful-slot rate of the group, 7 days": figures(group),
        "the worst 20 devices, 7 days": lambda connection: slot_days.shares(
            connection, "default", first, until, None, "device", 20
        ),
        "the rate on the page, 2 days": lambda connection: slot_days.rate(connection, Scope(), until - 2 * day),
    }


async def measure(database: Database, devices: int, triggers: int) -> None:
    """Fills it, and prints a line for each query."""
    await migrate(database)
    await seed.fill_fleet(database, devices)
    async with database.writing() as connection:
        for statement in _FILL:
            named = text(statement)
            given = {"devices": devices, "triggers": triggers, "days": DAYS}
            await connection.execute(named, {name: given[name] for name in named.compile().params})
    async with database.engine.connect() as plain:
        await (await plain.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
    print(f"{devices} devices, {triggers} triggers; of {ROUNDS}, ms: median, CPU here, CPU of PostgreSQL", flush=True)
    for name, query in queries(datetime.now(UTC)).items():
        async with database.reading() as connection:
            await connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))  # one process has all of it
            server = int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())
            took, here, there = [], time.process_time(), _cpu(server)
            for _ in range(ROUNDS):
                began = time.perf_counter()
                await query(connection)
                took.append(1000 * (time.perf_counter() - began))
            cpu = [1000 * used / ROUNDS for used in (time.process_time() - here, _cpu(server) - there)]
        print(f"{name:45} {statistics.median(took):8.1f} {cpu[0]:8.1f} {cpu[1]:8.1f}", flush=True)
    await database.close()


def _cpu(pid: int) -> float:
    """Seconds that a process has computed; by ticks of 10 ms (proc(5), /proc/pid/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    wanted = [int(one) for one in sys.argv[1:]] or [10_000, 1_000_000]
    with PostgresServer() as server:
        asyncio.run(measure(Database(database_url(server.url("ledger"))), *wanted))
