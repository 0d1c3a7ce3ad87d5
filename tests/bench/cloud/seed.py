"""What a cell finds in the cloud's database before it begins. All that the bench knows of the schema is in here."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import delete, insert, text

from tests.bench.cloud.names import API_TOKEN, device_id, device_token, digest
from tests.bench.cloud.servers import Cloud
from visant_cloud.database.engine import Database
from visant_cloud.settings import database_url
from visant_cloud.store import access, counters, device_states, tables
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_key

INTERVAL = 60.0
"""Seconds of every schedule."""


def fleet(cloud: Cloud, devices: int) -> None:
    """So many devices that have been here before, and an operator's token. The cloud runs, and has made its schema."""

    _with(cloud, partial(fill_fleet, devices=devices))


async def fill_fleet(database: Database, devices: int) -> None:
    """The same, of a database that is open already."""
    now = datetime.now(UTC)
    rows = [
        {
            "device_key": device_key(DEFAULT_ORGANISATION, device_id(number)),
            "device_id": device_id(number),
            "created_at": now,
            "active": True,
            "old_client": False,
            "token_hash": digest(device_token(number)),
            "token_revoked": False,
            "token_seen_at": now,
        }
        for number in range(devices)
    ]
    async with database.writing() as connection:
        await access.add_api_token(connection, DEFAULT_ORGANISATION, "bench", digest(API_TOKEN), now)
        for start in range(0, devices, 1000):
            part = rows[start : start + 1000]
            states = [{"device_key": row["device_key"]} for row in part]
            await connection.execute(insert(tables.devices), part)
            await connection.execute(insert(tables.device_states), states)


def schedules(cloud: Cloud, devices: int, *, on: bool) -> None:
    """A schedule of INTERVAL for each device, spread evenly over the next one; or none any more."""

    async def fill(database: Database) -> None:
        now = datetime.now(UTC)
        rows = [
            {
                "device_key": device_key(DEFAULT_ORGANISATION, device_id(number)),
                "interval_seconds": INTERVAL,
                "next_at": now + timedelta(seconds=1 + INTERVAL * number / devices),
                "created_at": now,
            }
            for number in range(devices)
        ]
        async with database.writing() as connection:
            await connection.execute(delete(tables.schedules))
            for start in range(0, devices if on else 0, 1000):
                await connection.execute(insert(tables.schedules), rows[start : start + 1000])

    _with(cloud, fill)


def history(cloud: Cloud, devices: int, triggers: int) -> None:
    """A day of the fleet, on PostgreSQL, with the figures that the cloud keeps of it; the cloud does not run meanwhile.

    One in fifty of the triggers has failed. One in ten has a picture's row: the picture itself is nowhere.
    """

    async def fill(database: Database) -> None:
        async with database.writing() as connection:
            await connection.execute(text("SET LOCAL synchronous_commit = off"))
            for statement in _HISTORY:
                await connection.execute(text(statement), {"devices": devices, "triggers": triggers})
        async with database.writing() as connection:
            wrong = await counters.recount(connection, device_id(0), datetime.now(UTC))
        assert not wrong, "the figures that were seeded are not what the cloud counts"
        async with database.engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM ANALYZE"))

    _with(cloud, fill)


_ENDED = "FROM triggers WHERE ended_at IS NOT NULL"
_HISTORY = (
    # one day, evenly; the newest is a second old
    "INSERT INTO triggers (device_key, trigger_id, kind, type, status, reason, provisional,"
    " created_at, expires_at, sent_at, ended_at, history)"
    " SELECT 'bench-' || lpad((n % CAST(:devices AS int))::text, 5, '0'), 'seed_' || n, 'capture', 'scheduled',"
    " CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'executed' END,"
    " CASE WHEN n % 50 = 0 THEN 'camera_absent' END, false, t, t + interval '60 s', t, t + interval '1 s', '[]'"
    " FROM (SELECT n, now() - interval '1 s' - interval '1 day' * (1 - n / CAST(:triggers AS float)) AS t"
    " FROM generate_series(1, CAST(:triggers AS int)) AS n) AS made",
    "INSERT INTO captures (record_id, device_key, trigger_id, captured_at, received_at, bytes, width, height,"
    " sha256, thumbnail, metadata)"
    " SELECT md5(trigger_id), device_key, trigger_id, created_at, ended_at, 300000, 1920, 1080,"
    f" repeat('0', 64), true, '{{}}' {_ENDED} AND status = 'executed' AND (seq / CAST(:devices AS int)) % 10 = 0",
    "INSERT INTO device_days (organisation_id, day, device_key, executed, failed, expired, captures, bytes)"
    " SELECT organisation_id, day, device_key, sum(e), sum(f), 0, sum(c), sum(b) FROM ("
    "SELECT organisation_id, (created_at AT TIME ZONE 'UTC')::date AS day, device_key,"
    f" (status = 'executed')::int AS e, (status = 'failed')::int AS f, 0 AS c, 0 AS b {_ENDED}"
    " UNION ALL SELECT organisation_id, (received_at AT TIME ZONE 'UTC')::date, device_key, 0, 0, 1, bytes"
    " FROM captures) AS each_one GROUP BY organisation_id, day, device_key",
    "UPDATE device_states SET newest_seq = c.seq, newest_record_id = c.record_id, newest_captured_at = c.captured_at"
    " FROM (SELECT DISTINCT ON (device_key) device_key, seq, record_id, captured_at FROM captures"
    " ORDER BY device_key, seq DESC) AS c WHERE c.device_key = device_states.device_key",
    "UPDATE device_states SET outcomes = o.outcomes FROM (SELECT device_key, json_object_agg(name, n) AS outcomes FROM"
    rf" (SELECT device_key, status || coalesce('\: ' || reason, '') AS name, count(*) AS n {_ENDED} GROUP BY 1, 2)"
    " AS each_one GROUP BY device_key) AS o WHERE o.device_key = device_states.device_key",
    "UPDATE device_states SET strip = s.strip FROM (SELECT device_key, json_agg("
    "CASE WHEN reason IS NULL THEN json_build_array(seq, left(status, 1))"
    " ELSE json_build_array(seq, left(status, 1), reason) END ORDER BY seq) AS strip FROM"
    " (SELECT device_key, seq, status, reason, row_number() OVER (PARTITION BY device_key ORDER BY seq DESC) AS place"
    f" {_ENDED}) AS ranked WHERE place <= {device_states.STRIP} GROUP BY device_key)"
    " AS s WHERE s.device_key = device_states.device_key",
)


def _with(cloud: Cloud, fill: Callable[[Database], Awaitable[None]]) -> None:
    environment = cloud.process.environment
    url = environment.get("DATABASE_URL") or f"sqlite:///{environment['DATA_DIR']}/cloud.db"

    async def run() -> None:
        database = Database(database_url(url))
        try:
            await fill(database)
        finally:
            await database.close()

    asyncio.run(run())
