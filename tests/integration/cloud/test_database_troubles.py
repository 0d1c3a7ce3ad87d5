"""A database that takes no writes, is full, or cannot be found: 503, one line, and all is well when it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from visant_cloud import problems
from visant_cloud.database import engine as database_engine
from visant_cloud.database.engine import Database
from visant_cloud.database.trouble import Trouble


@pytest.fixture(autouse=True)
def _first_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "_complaint", problems._Complaint())
    monkeypatch.setattr(database_engine, "_YOUNG", 0.0)  # no test waits until a connection is old


async def refused(cloud: Any, trigger_id: str) -> set[str]:
    """The details with which writes are refused; each is 503 and says when to come again."""
    client, found = cloud.client, set()
    for answer in (
        await client.post("/v1/devices/D1/trigger"),
        await client.post("/v1/devices/D1/telemetry", json={"device_version": "2"}),
        await client.put("/v1/devices/D1/schedule", json={"interval_seconds": 60}),
        await client.post(f"/v1/devices/D1/triggers/{trigger_id}/outcome", json={"status": "failed", "reason": "x"}),
        await cloud.capture("D1", trigger_id),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.json()["reason"] == "database" and int(answer.headers["retry-after"]) > 0
        found.add(answer.json()["detail"])
    return found


async def fill(database: Database) -> None:
    """Until it raises."""
    while True:
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO filling VALUES (randomblob(900))"))


@contextmanager
def each_connection(database: Database, *pragmas: str) -> Iterator[None]:
    """SQLite: every connection is set so before it is used."""

    def prepare(connection: Any, *_: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    engines = [database.engine.sync_engine, database.single.sync_engine]
    for engine in engines:
        event.listen(engine, "checkout", prepare)
    yield
    for engine in engines:
        event.remove(engine, "checkout", prepare)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("pragma", "undo", "trouble"),
    [
        ("query_only=1", "query_only=0", Trouble.READ_ONLY),
        ("max_page_count=1", "max_page_count=1073741823", Trouble.FULL),
    ],
)
async def test_a_sqlite_file_that_is_read_only_or_full_is_503_and_one_line(
    start: Any, pragma: str, undo: str, trouble: Trouble
) -> None:
    cloud = await start()
    await cloud.register()
    waits = await cloud.trigger("D1")
    if trouble is Trouble.FULL:  # fill the free pages of the file, so that the next row needs another
        async with cloud.cloud.database.writing() as connection:
            await connection.execute(text("CREATE TABLE filling (x)"))
        with each_connection(cloud.cloud.database, pragma), pytest.raises(OperationalError, match="full"):
            await fill(cloud.cloud.database)
    with each_connection(cloud.cloud.database, pragma), capture_logs() as lines:
        if trouble is Trouble.READ_ONLY:
            assert await refused(cloud, waits) == {problems._DETAILS[trouble]}
        else:
            answers = [await cloud.client.post("/v1/devices/D1/trigger") for _ in range(40)]
            full = [one for one in answers if one.status_code == 503]
            assert full and all(one.json()["detail"] == problems._DETAILS[trouble] for one in full)
            assert all("retry-after" in one.headers for one in full)
        assert (await cloud.client.get("/v1/devices")).status_code == 200
    assert [one["event"] for one in lines if one["log_level"] == "warning"] == [trouble.value]
    with each_connection(cloud.cloud.database, undo):
        assert (await cloud.capture("D1", waits)).status_code == 201
        assert (await cloud.row("D1", waits))["status"] == "executed"


async def set_read_only(cloud: Any, on: bool) -> None:
    """The whole database, also for those who are connected already."""
    async with cloud.cloud.database.single.connect() as connection:
        await connection.execute(text("SET default_transaction_read_only = off"))
        name = (await connection.execute(text("SELECT current_database()"))).scalar_one()
        await connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {on}'))
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND pid <> :me"),
            {"name": name, "me": (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()},
        )
        await connection.invalidate()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_postgresql_that_takes_no_writes_is_503_and_one_line_and_well_again_by_itself(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    waits = await cloud.trigger("D1")
    await set_read_only(cloud, True)
    with capture_logs() as lines:
        for _ in range(2):
            assert await refused(cloud, waits) == {problems._DETAILS[Trouble.READ_ONLY]}
        assert (await cloud.client.get("/v1/devices")).status_code == 200
        async with cloud.stream("D1") as stream:  # what waits is still told
            assert (await stream.command())["trigger_id"] == waits
    assert [one["event"] for one in lines if one["event"] in {each.value for each in Trouble}] == [
        Trouble.READ_ONLY.value
    ]
    await set_read_only(cloud, False)
    assert (await cloud.capture("D1", waits)).status_code == 201
    assert (await cloud.client.post("/v1/devices/D1/trigger")).status_code == 200


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_connections_that_a_failover_left_on_the_standby_are_given_up(start: Any) -> None:
    """The address leads to the new primary; what is in the pools is connected to the old one, a standby now."""
    cloud = await start()
    await cloud.register()
    engines = cloud.cloud.database.engine, cloud.cloud.database.single
    for engine in engines:
        held = [await engine.connect() for _ in range(3)]
        for one in held:
            await one.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
            await one.commit()
        for one in held:
            await one.close()
    assert (await cloud.client.post("/v1/devices/D1/trigger")).status_code == 200, "asked again on a new connection"
    statuses = [
        (await cloud.client.post("/v1/devices/D1/telemetry", json={"device_version": "2"})).status_code
        for _ in range(3)
    ]
    assert statuses in ([503, 204, 204], [204, 204, 204]), "the others of the pool went with the first"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_database_whose_name_is_not_found_is_503_too(start: Any) -> None:
    cloud = await start()
    kept, cloud.cloud.database = cloud.cloud.database, Database("postgresql://u:p@nowhere.invalid/x?connect_timeout=5")
    answer = await cloud.client.post("/v1/devices/D1/trigger")
    assert answer.status_code == 503 and answer.json()["reason"] == "database" and "retry-after" in answer.headers
    cloud.cloud.database = kept
