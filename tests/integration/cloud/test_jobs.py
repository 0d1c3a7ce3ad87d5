"""Jobs: one request about many devices, done once each, whoever dies; and a device that is deleted."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select, text

from tests.support.cloud_process import Process
from tests.support.many_devices import create_many
from visant_cloud.access import credentials
from visant_cloud.captures.storage import PictureName
from visant_cloud.database.engine import Database
from visant_cloud.housekeeping import forget_old
from visant_cloud.jobs.runner import JobRunner
from visant_cloud.settings import database_url
from visant_cloud.store import access, counters, deletion, devices, jobs, leases, tables
from visant_cloud.store.schema import migrate
from visant_runtime.lifecycle import Stop


async def bulk(cloud: Any, action: dict[str, Any], key: str | None = None, **selection: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"selection": selection or {"filter": ""}, "action": action}
    answer: httpx.Response = await cloud.client.post("/v1/bulk", json=body, headers=headers)
    return answer


async def through(cloud: Any, answer: httpx.Response) -> dict[str, Any]:
    """The job, run to its end, with its items."""
    assert answer.status_code == 202, answer.text
    await JobRunner(cloud.cloud, "p").round()
    path = f"/v1/jobs/{answer.json()['job_id']}"
    shown = (await cloud.client.get(path)).json()
    items = (await cloud.client.get(f"{path}/items")).json()["items"]
    return {**shown, "items": {one["device_id"]: (one["outcome"], one["detail"]) for one in items}}


async def count(cloud: Any, table: Any, *which: Any) -> int:
    async with cloud.cloud.database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(table).where(*which))).scalar_one())


@pytest.fixture
async def three(start: Any) -> Any:
    """A, B and C, of which C is suspended."""
    cloud = await start()
    async with cloud.cloud.database.writing() as connection:
        await create_many(connection, "ABC", cloud.time())
        await devices.change(connection, "C", active=False)
    return cloud


async def test_each_device_of_a_bulk_request_has_an_outcome(three: Any) -> None:
    async with three.stream("A") as stream:
        await stream.next()
        job = await through(three, await bulk(three, {"do": "trigger"}, devices=["A", "B", "C", "GONE", "A"]))
        command = await stream.command()
    assert (job["status"], job["total"], job["done"], job["failed"]) == ("done", 4, 4, 2)
    assert job["items"]["C"] == ("failed", "it is suspended: resume it first")
    assert job["items"]["GONE"] == ("failed", "there is no such device")
    assert job["items"]["A"] == ("done", command["trigger_id"]), "and its stream was told at once"
    failed = (await three.client.get(f"/v1/jobs/{job['job_id']}/items", params={"failed": True})).json()
    assert [one["device_id"] for one in failed["items"]] == ["C", "GONE"]
    pages = (await three.client.get(f"/v1/jobs/{job['job_id']}/items", params={"limit": 3})).json()
    rest = await three.client.get(f"/v1/jobs/{job['job_id']}/items", params={"after": pages["next_after"]})
    assert [one["device_id"] for one in rest.json()["items"]] == ["GONE"]


async def test_what_can_be_asked_of_one_can_be_asked_of_many(three: Any) -> None:
    await three.client.post("/v1/groups", json={"name": "north"})
    there = {"A": ("done", None), "B": ("done", None), "C": ("done", None)}
    for action in (
        {"do": "tags", "add": ["Door", "x"]},
        {"do": "tags", "add": ["y"], "remove": ["x"]},
        {"do": "groups", "add": ["north"]},
        {"do": "schedule", "interval_seconds": 60},
        {"do": "suspend"},
        {"do": "resume"},
    ):
        job = await through(three, await bulk(three, action))
        assert job["items"] == there and job["kind"] == action["do"], action
    config = await through(three, await bulk(three, {"do": "settings", "config": {"brightness": 3}}))
    assert config["items"]["A"] == ("done", "sent when it connects")
    for one in (await three.client.get("/v1/devices")).json()["devices"]:
        assert (one["tags"], one["groups"], one["interval_seconds"]) == (["door", "y"], ["north"], 60.0)
        assert one["active"] and one["config"] == {"brightness": 3}
    await through(three, await bulk(three, {"do": "schedule", "interval_seconds": None}, filter="id:a"))
    await through(three, await bulk(three, {"do": "groups", "remove": ["north"]}, filter="id:a"))
    shown = (await three.client.get("/v1/devices/A")).json()
    assert shown["interval_seconds"] is None and shown["groups"] == []
    many = [f"t{number}" for number in range(31)]
    full = await through(three, await bulk(three, {"do": "tags", "add": many}, filter="id:a"))
    assert full["items"]["A"] == ("failed", "it would have 33 tags, at most 32: remove some")
    assert (await three.client.get("/v1/devices/A")).json()["tags"] == ["door", "y"]


async def test_a_preview_says_whom_a_selection_means_and_changes_nothing(three: Any) -> None:
    body: dict[str, Any] = {"selection": {"filter": "-id:b"}, "action": {"do": "suspend"}}
    shown = (await three.client.post("/v1/bulk/preview", json=body)).json()
    assert shown["devices"] == ["A", "C"] and shown["states"] == {"never_seen": 1, "inactive": 1}
    body = {"selection": {"devices": ["B", "NOBODY"]}}
    shown = (await three.client.post("/v1/bulk/preview", json=body)).json()
    assert (shown["total"], shown["unknown"], shown["unknown_count"]) == (1, ["NOBODY"], 1)
    assert (await three.client.get("/v1/jobs")).json()["jobs"] == []


_REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"selection": {}, "action": {"do": "suspend"}}, 422, "name either filter or devices"),
    ({"selection": {"filter": "", "devices": ["A"]}, "action": {"do": "suspend"}}, 422, "and not both"),
    ({"selection": {"filter": "sate:x"}, "action": {"do": "suspend"}}, 422, "selection.filter, character 1"),
    ({"selection": {"filter": "nobody"}, "action": {"do": "suspend"}}, 422, "no device fits"),
    ({"selection": {"devices": ["a b"]}, "action": {"do": "suspend"}}, 422, "selection.devices.0"),
    ({"selection": {"devices": ["A"] * 10_001}, "action": {"do": "suspend"}}, 422, "at most 10000"),
    ({"selection": {"filter": ""}, "action": {"do": "explode"}}, 422, "'trigger', 'schedule'"),
    ({"selection": {"filter": ""}, "action": {"do": "tags"}}, 422, "name at least one in add or remove"),
    ({"selection": {"filter": ""}, "action": {"do": "tags", "add": ["a b"]}}, 422, "a tag is one word"),
    ({"selection": {"filter": ""}, "action": {"do": "groups", "add": ["x"]}}, 422, "no group 'x': create it"),
    ({"selection": {"filter": ""}, "action": {"do": "suspend"}, "rate": 0}, 422, "rate"),
    ({"selection": {"filter": ""}, "action": {"do": "settings", "config": {"x": "y" * 70000}}}, 413, "65536"),
]


async def test_a_bulk_request_that_cannot_be_meant_is_refused_in_one_line(three: Any) -> None:
    for body, status, said in _REFUSED:
        answer = await three.client.post("/v1/bulk", json=body)
        assert answer.status_code == status and said in answer.json()["detail"], answer.text
        assert "\n" not in answer.json()["detail"]
    assert (await three.client.get("/v1/jobs")).json()["jobs"] == []


async def test_ten_thousand_ids_are_one_request(three: Any) -> None:
    wanted = ["A", *(f"{'x' * 40}{number:05}" for number in range(9_999))]
    shown = await three.client.post("/v1/bulk/preview", json={"selection": {"devices": wanted}})
    assert shown.status_code == 200 and shown.json()["unknown_count"] == 9_999


async def test_the_same_key_is_the_same_job_and_no_other(three: Any) -> None:
    first, again = await bulk(three, {"do": "trigger"}, "k"), await bulk(three, {"do": "trigger"}, "k")
    assert first.json()["job_id"] == again.json()["job_id"]
    other = await bulk(three, {"do": "suspend"}, "k")
    assert other.status_code == 422 and "choose a new key" in other.json()["detail"]
    at_once = await asyncio.gather(*(bulk(three, {"do": "trigger"}, "together") for _ in range(4)))
    assert len({answer.json()["job_id"] for answer in at_once}) == 1
    assert await count(three, tables.jobs) == 2
    await through(three, first)
    assert await count(three, tables.triggers) == 4, "two jobs, two devices that may be asked"
    done = await bulk(three, {"do": "trigger"}, "k")
    assert done.json()["status"] == "done", "also once it has ended"


async def test_a_job_that_is_cancelled_goes_no_further(three: Any) -> None:
    job_id = (await bulk(three, {"do": "trigger"})).json()["job_id"]
    cancelled = await three.client.post(f"/v1/jobs/{job_id}/cancel")
    assert cancelled.json()["status"] == "cancelled" and cancelled.json()["detail"] == "cancelled by open"
    await JobRunner(three.cloud, "p").round()
    assert await count(three, tables.triggers) == 0
    assert (await three.client.post(f"/v1/jobs/{job_id}/cancel")).status_code == 200
    done = await through(three, await bulk(three, {"do": "suspend"}))
    late = await three.client.post(f"/v1/jobs/{done['job_id']}/cancel")
    assert late.status_code == 409 and "has ended already: done" in late.json()["detail"]
    assert (await three.client.get("/v1/jobs", params={"open": True})).json()["jobs"] == []
    newest = (await three.client.get("/v1/jobs", params={"limit": 1})).json()
    assert newest["jobs"][0]["job_id"] == newest["next_before"] == done["job_id"]


async def test_a_job_keeps_to_its_rate(three: Any) -> None:
    body = {"selection": {"filter": ""}, "action": {"do": "suspend"}, "rate": 0.5}
    job_id = (await three.client.post("/v1/bulk", json=body)).json()["job_id"]
    at = 100.0
    runner = JobRunner(three.cloud, "p", lambda: at)
    done = []
    for _ in range(6):
        await runner.round()
        done.append((await three.client.get(f"/v1/jobs/{job_id}")).json()["done"])
        at += 1.0
    assert done == [1, 1, 2, 2, 3, 3], "one in two seconds"


async def test_a_job_with_a_fault_of_ours_says_so_and_the_others_go_on(three: Any) -> None:
    broken = (await bulk(three, {"do": "tags", "add": ["x"]})).json()["job_id"]
    async with three.cloud.database.writing() as connection:
        await connection.execute(text("UPDATE jobs SET given = '{}'"))
        await connection.execute(
            insert(tables.jobs).values(
                kind="of a newer release", status="waiting", given={}, total=1, created_by="x", created_at=three.time()
            )
        )
    good = await through(three, await bulk(three, {"do": "suspend"}))
    assert good["status"] == "done"
    failed = (await three.client.get(f"/v1/jobs/{broken}")).json()
    assert failed["status"] == "failed" and "its log says more" in failed["detail"]


async def test_no_more_jobs_wait_than_can_be_done_and_old_ones_are_forgotten(three: Any) -> None:
    for _ in range(jobs.MAX_OPEN):
        assert (await bulk(three, {"do": "trigger"})).status_code == 202
    refused = await bulk(three, {"do": "trigger"})
    assert refused.status_code == 409 and "let one end" in refused.json()["detail"]
    await JobRunner(three.cloud, "p").round()
    assert (await bulk(three, {"do": "trigger"})).status_code == 202
    await forget_old(three.cloud, three.time() + timedelta(days=29))
    assert await count(three, tables.jobs) == jobs.MAX_OPEN + 1
    await forget_old(three.cloud, three.time() + timedelta(days=31))
    assert await count(three, tables.jobs) == 1, "the one that has not ended"
    assert await count(three, tables.job_items) == 3


async def test_one_process_at_a_time_goes_on_with_jobs(three: Any, engine: str) -> None:
    assert await leases.hold(three.cloud.database, "jobs", "other", timedelta(seconds=60))
    job = await through(three, await bulk(three, {"do": "suspend"}))
    alone = engine == "sqlite"  # which serves one process
    assert (job["status"], job["done"]) == (("done", 3) if alone else ("waiting", 0))


# A device is deleted


async def pictures(cloud: Any, device_id: str, number: int) -> None:
    for place in range(number):
        trigger_id = await cloud.trigger(device_id)
        assert (await cloud.capture(device_id, trigger_id)).status_code == 201, place


async def rows_of(cloud: Any, key: str) -> dict[str, int]:
    """table -> rows that name the device."""
    found = {}
    for table in [*deletion.tables(), tables.captures]:
        if number := await count(cloud, table, table.c.device_key == key):
            found[table.name] = number
    return found


async def test_a_device_goes_with_all_that_is_kept_of_it_and_nothing_of_another(three: Any) -> None:
    for name in "AB":
        await pictures(three, name, 2)
        await three.trigger(name)
        await three.client.put(f"/v1/devices/{name}/schedule", json={"interval_seconds": 60})
        await three.client.patch(f"/v1/devices/{name}", json={"tags": ["x"], "name": name}, headers={"If-Match": "*"})
    others, files = await rows_of(three, "B"), set(three.files())
    async with three.stream("A") as stream:
        await stream.next()
        answer = await three.client.delete("/v1/devices/A", params={"pictures": True})
        assert await stream.ended(), "its stream ends at once"
    assert answer.status_code == 202 and "device_key" not in answer.json()["given"]
    assert (await three.client.get("/v1/devices/A")).status_code == 404
    assert [one["device_id"] for one in (await three.client.get("/v1/devices")).json()["devices"]] == ["B", "C"]
    again = await three.client.post("/v1/devices", json={"device_id": "A"})
    assert again.status_code == 409 and "is being deleted" in again.json()["detail"]
    cancel = await three.client.post(f"/v1/jobs/{answer.json()['job_id']}/cancel")
    assert cancel.status_code == 409 and "goes on to its end" in cancel.json()["detail"]
    job = await through(three, answer)
    assert (job["status"], job["total"], job["done"], job["failed"]) == ("done", 3, 3, 0)
    assert await rows_of(three, "A") == {} and await rows_of(three, "B") == others
    assert {path for path in files if "/B/" in str(path)} == set(three.files())
    assert (await three.client.delete("/v1/devices/A", params={"pictures": True})).status_code == 404
    new = await three.client.post("/v1/devices", json={"device_id": "A"})
    assert new.status_code == 201
    shown = (await three.client.get("/v1/devices/A")).json()
    assert (shown["state"], shown["name"], shown["tags"]) == ("never_seen", None, [])


async def test_pictures_that_are_kept_are_the_devices_own_again(three: Any) -> None:
    await pictures(three, "A", 2)
    open_one = await three.trigger("A")
    job = await through(three, await three.client.delete("/v1/devices/A", params={"pictures": False}))
    assert job["status"] == "done" and len(three.files()) == 4
    assert (await three.client.post("/v1/devices", json={"device_id": "A"})).status_code == 201
    row = await three.row("A", open_one)
    assert (row["status"], row["detail"]) == ("expired", "the device was deleted")
    assert (await three.client.get("/v1/captures", params={"device_id": "A"})).json()["captures"][0]["bytes"] > 0
    async with three.cloud.database.writing() as connection:
        assert not await counters.recount(connection, "A", three.time()), "its figures are right"


async def test_what_comes_late_from_a_deleted_device_is_answered_clearly(start: Any) -> None:
    cloud = await start(auth="required")
    async with cloud.cloud.database.writing() as connection:
        api = credentials.api_token()
        await access.add_api_token(connection, "default", "t", credentials.digest(api), cloud.time())
    cloud.client.headers["Authorization"] = f"Bearer {api}"
    token = (await cloud.client.post("/v1/devices", json={"device_id": "A"})).json()["token"]
    mine = {"Authorization": f"Bearer {token}"}
    assert (await cloud.capture("A", "t1", headers=mine)).status_code == 201
    answer = await cloud.client.delete("/v1/devices/A", params={"pictures": True})
    outcome = {"status": "failed", "reason": "camera_absent"}
    for ended in (False, True):
        if ended:
            assert (await through(cloud, answer))["status"] == "done"
        late = [
            await cloud.capture("A", "t2", headers=mine),
            await cloud.client.post("/v1/devices/A/telemetry", json={"device_version": "2"}, headers=mine),
            await cloud.client.post("/v1/devices/A/triggers/t1/outcome", json=outcome, headers=mine),
            await cloud.client.get("/v1/devices/A/commands", headers=mine),
        ]
        for one in late:
            assert one.status_code == 403 and one.json()["reason"] == "device_deleted", one.text
            assert "enrol it again" in one.json()["detail"]
    assert await rows_of(cloud, "A") == {} and cloud.files() == []


async def test_a_picture_that_arrives_as_its_device_is_deleted_leaves_nothing(three: Any, monkeypatch: Any) -> None:
    """Its device was let in, and is deleted before its row is written."""
    stored = three.cloud.pictures.store

    async def and_then_it_is_deleted(*given: Any) -> None:
        await stored(*given)
        answer = await three.client.delete("/v1/devices/A", params={"pictures": True})
        assert (await through(three, answer))["status"] == "done"

    monkeypatch.setattr(three.cloud.pictures, "store", and_then_it_is_deleted)
    late = await three.capture("A", "t")
    assert late.status_code == 403 and late.json()["reason"] == "device_deleted"
    assert await rows_of(three, "A") == {} and three.files() == []


def test_every_table_that_names_a_device_is_looked_through() -> None:
    found = {table.name for table in deletion.tables()} | {"devices", "captures"}
    assert found == {table.name for table in tables.metadata.sorted_tables if "device_key" in table.c}
    refers = [table.name for table in deletion.tables()]
    for table in deletion.tables():
        for key in table.foreign_keys:
            other = key.column.table.name
            if other in refers:
                assert refers.index(table.name) < refers.index(other), f"{table.name} refers to {other}"


# kill -9


async def _seeded(folder: Path, now: datetime) -> None:
    """250 devices, and 450 pictures of D0, of another number as well, with their files."""
    (folder / "data").mkdir()
    database = Database(database_url(f"sqlite:///{folder}/data/cloud.db"))
    await migrate(database)
    async with database.writing() as connection:
        await create_many(connection, [f"D{number}" for number in range(250)], now)
        rows: list[dict[str, Any]] = [
            {
                "organisation_id": "default",
                "record_id": f"{number:032x}",
                "device_key": "D0" if number < 450 else "D1",
                "trigger_id": f"t{number}",
                "captured_at": now,
                "received_at": now,
                "bytes": 1,
                "width": 1,
                "height": 1,
                "sha256": "x",
                "thumbnail": True,
                "metadata": {},
            }
            for number in range(460)
        ]
        await connection.execute(insert(tables.captures), rows)
    await database.close()
    for row in rows:
        name = PictureName(row["device_key"], now, row["record_id"])
        for path in (name.picture, name.thumbnail):
            file = folder / "data" / "pictures" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")


async def test_a_job_whose_process_is_killed_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    """On SQLite; a step is one transaction on both."""
    now = datetime.fromisoformat("2026-11-30T12:00:00+00:00")
    await _seeded(tmp_path, now)
    process = Process(tmp_path)

    async def job(path: str) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            while (found := (await client.get(path)).json())["ended_at"] is None:
                await asyncio.sleep(0.05)
            return dict(found)

    async def killed() -> None:
        async with asyncio.timeout(60):
            while process.popen.poll() is None:
                await asyncio.sleep(0.05)
        assert process.popen.returncode == -9

    try:
        process.start(VISANT_KILL_POINT="job_batch:2")
        body = {"selection": {"filter": ""}, "action": {"do": "trigger"}}
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            first = (await client.post("/v1/bulk", json=body)).json()["job_id"]
        await killed()
        process.start(VISANT_KILL_POINT="deleted_files:2")
        done = await job(f"/v1/jobs/{first}")
        assert (done["status"], done["done"], done["failed"]) == ("done", 250, 0)
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            second = (await client.delete("/v1/devices/D0", params={"pictures": True})).json()["job_id"]
        await killed()
        process.start()
        gone = await job(f"/v1/jobs/{second}")
        assert (gone["status"], gone["done"], gone["total"]) == ("done", 451, 451)
    finally:
        process.end()
    database = Database(database_url(f"sqlite:///{tmp_path}/data/cloud.db"))
    async with database.reading() as connection:
        each = select(tables.triggers.c.device_key, func.count()).group_by(tables.triggers.c.device_key)
        counts = {key: number for key, number in await connection.execute(each)}
        left = (await connection.execute(select(tables.captures.c.device_key))).scalars().all()
    await database.close()
    assert set(counts.values()) == {1} and counts.keys() == {f"D{number}" for number in range(1, 250)}
    assert left == ["D1"] * 10
    files = [path for path in (tmp_path / "data" / "pictures").rglob("*") if path.is_file()]
    assert len(files) == 20 and all(path.parts[-3] == "D1" for path in files)


async def test_the_runner_ends_when_it_is_told(three: Any) -> None:
    stop = Stop()
    stop.set()
    await asyncio.wait_for(JobRunner(three.cloud, "p").round(stop.is_set), 5)
