"""A manual trigger made by a single statement keeps what the transaction of before kept."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.support.not_none import not_none
from visant_cloud.database.engine import Database
from visant_cloud.store import devices, stream_reads, tables, trigger_creation, triggers

_BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
)


def now() -> datetime:
    return datetime.now(UTC)


async def sent(database: Database) -> list[str]:
    """The triggers that a stream of D1 is sent."""
    (rows,) = await stream_reads.waiting(database, [("D1", 0)], now(), 50, 2000)
    return [row.trigger_id for row in not_none(rows)]


@pytest.fixture
async def database(start: Any) -> Database:
    cloud = await start()
    found: Database = cloud.cloud.database
    async with found.writing() as connection:
        for key in ("D1", "acme~D1", "BARRED"):
            if key == "acme~D1":
                await connection.execute(text("INSERT INTO organisations (organisation_id, name) VALUES ('acme', 'A')"))
            await devices.create(connection, key, now())
        await devices.change(connection, "BARRED", active=False)
    return found


async def test_the_row_is_the_one_that_a_transaction_makes(database: Database) -> None:
    made = await trigger_creation.create_at_once(database, "acme~D1", now(), 60.0, "key")
    assert made is not None
    async with database.writing() as connection:
        other, new = await trigger_creation.create(
            connection, "acme~D1", made.created_at, 60.0, idempotency_key="other"
        )
        assert new
        assert await triggers.find(connection, "acme~D1", made.trigger_id) == made
        same, new = await trigger_creation.create(connection, "acme~D1", now(), 60.0, idempotency_key="key")
        assert same == made and not new
        owner = select(tables.triggers.c.organisation_id).where(tables.triggers.c.seq == made.seq)
        assert (await connection.execute(owner)).scalar_one() == "acme"
    differ = {name for name in vars(made) if getattr(made, name) != getattr(other, name)}
    assert differ == {"seq", "trigger_id"} and other.seq > made.seq


async def test_nothing_is_made_for_a_key_used_before_a_barred_device_or_none(database: Database) -> None:
    first = await trigger_creation.create_at_once(database, "D1", now(), 60.0, "key")
    assert first is not None
    assert await trigger_creation.create_at_once(database, "D1", now(), 60.0, "key") is None
    for key in ("BARRED", "NOBODY", "acme~NOBODY", "D1\0"):
        assert await trigger_creation.create_at_once(database, key, now(), 60.0, None) is None, key
    assert await sent(database) == [first.trigger_id]
    assert await trigger_creation.create_at_once(database, "D1", now(), 60.0, None) is not None, "no key is no key"


async def test_one_that_was_made_before_the_connection_was_lost_is_found_and_not_made_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = database.write

    async def twice(*given: Any) -> Any:
        await run(*given)
        return await run(*given)

    monkeypatch.setattr(database, "write", twice)
    made = await trigger_creation.create_at_once(database, "D1", now(), 60.0, "key")
    assert made is not None
    assert await sent(database) == [made.trigger_id]


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_seq_is_drawn_while_the_device_is_held(database: Database) -> None:
    """A stream reads on from the last seq that it sent: a lower one that is committed later would never be seen."""
    async with database.writing() as connection:
        held = select(tables.devices.c.device_key).where(tables.devices.c.device_key == "D1").with_for_update()
        await connection.execute(held)
        waiting = asyncio.create_task(trigger_creation.create_at_once(database, "D1", now(), 60.0, None))
        async with asyncio.timeout(30):
            while not (await database.read(_BLOCKED))[0][0]:
                await asyncio.sleep(0.01)
        first, _ = await trigger_creation.create(connection, "D1", now(), 60.0)
    second = await waiting
    assert second is not None and second.seq > first.seq
