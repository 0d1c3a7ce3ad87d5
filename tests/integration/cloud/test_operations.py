"""What whoever runs the cloud asks it: is it ready, what does it count, what became of this trigger."""

import asyncio
import json
import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.support.cloud_process import PROGRAM, Process
from tests.support.postgres import PostgresServer
from visant_cloud import metrics, readiness
from visant_cloud.metrics import Exchange, Gathered
from visant_cloud.readiness import Readiness
from visant_cloud.store import device_counts
from visant_runtime.heartbeat import Heartbeat

DOCUMENT = (Path(__file__).parents[3] / "docs/operate/cloud.md").read_text()
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def test_ready_is_told_to_strangers_and_why_not_to_nobody_but_the_log(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_KEEP", 0.0)
    cloud = await start(auth="required")

    async def revision(found: str) -> None:
        async with cloud.cloud.database.writing() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})

    answer = await cloud.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    for found, status in (("9999", 200), ("0001", 503), ("abc", 503)):
        await revision(found)
        with capture_logs() as lines:
            answer = await cloud.client.get("/readyz")
        assert answer.status_code == status, found
        if status == 503:
            assert answer.json()["detail"] == "Not ready; the log says why" and "retry-after" in answer.headers
    assert [one["event"] for one in lines] == ["not ready"] and "the schema abc" in lines[0]["why"]
    assert (await cloud.client.get("/healthz")).status_code == 200


@on_sqlite
async def test_a_storage_or_a_loop_that_stands_still_is_not_ready(start: Any, tmp_path: Path) -> None:
    cloud = await start()
    heartbeat = Heartbeat(tmp_path / "heartbeat")

    async def why_not() -> str | None:
        of = cloud.cloud
        return await Readiness(of.database, of.pictures, of.loader, heartbeat).why_not()

    heartbeat.expect("scheduler", 60.0)
    assert await why_not() is None
    heartbeat.expect("scheduler", 0.0)
    assert "scheduler last finished" in (await why_not() or "")
    heartbeat.done("scheduler")
    shutil.rmtree(cloud.cloud.settings.data_dir / "pictures")
    assert await why_not() == "the picture storage: the disk: No such file or directory"


@on_sqlite
async def test_however_many_strangers_ask_the_database_is_asked_once_a_second(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_KEEP", 60.0)
    cloud = await start(auth="required")
    asked = 0
    read = cloud.cloud.database.read

    async def counted(*given: Any) -> Any:
        nonlocal asked
        asked += 1
        return await read(*given)

    cloud.cloud.database.read = counted
    answers = await asyncio.gather(*(cloud.client.get("/readyz") for _ in range(20)))
    assert {one.status_code for one in answers} == {200} and asked == 1


def samples(scraped: str) -> dict[str, float]:
    """`name{label="x",...}` -> value; each family stands once, as Prometheus demands."""
    families = list(text_string_to_metric_families(scraped))
    names = [family.name for family in families]
    assert sorted(names) == sorted(set(names))
    return {
        f"{one.name}{{{','.join(f'{key}={value}' for key, value in sorted(one.labels.items()))}}}": one.value
        for family in families
        for one in family.samples
    }


@on_sqlite
async def test_the_metrics_count_streams_uploads_and_refusals_and_name_no_device(start: Any) -> None:
    cloud = await start()
    before = samples((await cloud.client.get("/metrics")).text)
    async with cloud.stream("FLOOR1") as stream:
        trigger_id = await cloud.trigger("FLOOR1")
        await stream.command()
        assert (await cloud.capture("FLOOR1", trigger_id)).status_code == 201
        assert (await cloud.capture("FLOOR1", trigger_id)).status_code == 200
        assert (await cloud.capture("FLOOR2", "t")).status_code == 404
        async with cloud.cloud.database.writing() as connection:  # as the rounds of alerts do
            await device_counts.put(connection, {"default": {"ok": 1}}, cloud.time())
        scraped = (await cloud.client.get("/metrics")).text
    now = samples(scraped)

    def more(name: str) -> float:
        return now[name] - before.get(name, 0.0)

    assert more("visant_streams{worker=1}") == 1 and more("visant_stream_connects_total{worker=1}") == 1
    assert more("visant_commands_sent_total{worker=1}") == 1
    for status in ("200", "201", "404"):
        assert more(f"visant_requests_total{{route=POST /v1/captures,status={status},worker=1}}") == 1
    assert more("visant_refusals_total{reason=unknown_device,worker=1}") == 1
    assert now["visant_loader_lag_seconds{worker=1}"] < 5 and "visant_scheduler_lag_seconds{worker=1}" in now
    assert now["process_resident_memory_bytes{worker=1}"] > 1e7 and "process_cpu_seconds_total{worker=1}" in now
    assert "FLOOR" not in scraped and trigger_id not in scraped
    told = set(re.findall(r"`(visant_\w+|process_\w+)", DOCUMENT))
    has = {name.partition("{")[0] for name in now}
    assert told <= has, "the document names what is not there"
    assert {name for name in has if name.startswith("visant_")} <= told, "a metric that the document does not name"


def test_workers_tell_each_other_and_one_that_is_no_more_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {number: tmp_path / f"{number}.metrics" for number in (1, 2, 3)}
    mine = metrics.of_process(streams=7, loader_lag=0.5, scheduler_lag=0.25, connections=2)
    Exchange(files, 2).tell(metrics.of_process(streams=5, loader_lag=0.0, scheduler_lag=0.0, connections=0))

    def scrape() -> dict[str, float]:
        return samples(generate_latest(Gathered(Exchange(files, 1).all_workers(mine))).decode())

    now = scrape()
    assert (now["visant_streams{worker=1}"], now["visant_streams{worker=2}"]) == (7.0, 5.0)
    assert "visant_streams{worker=3}" not in now, "it has not told yet"
    told = json.loads(files[2].read_text())
    files[2].write_text(json.dumps(told | {"at": time.clock_gettime(time.CLOCK_BOOTTIME) - 60}))
    assert "visant_streams{worker=2}" not in scrape()
    files[2].write_text("{")
    assert "visant_streams{worker=1}" in scrape()


async def test_whichever_worker_is_asked_tells_of_both(tmp_path: Path, postgres: PostgresServer) -> None:
    process = Process(tmp_path, DATABASE_URL=postgres.url(f"t{secrets.token_hex(8)}"))
    try:
        await asyncio.to_thread(process.start, "--workers", "2")
        async with httpx.AsyncClient(base_url=process.url, timeout=30) as client, asyncio.timeout(60):
            while True:
                now = samples((await client.get("/metrics")).text)
                if {f"visant_streams{{worker={number}}}" for number in (1, 2)} <= now.keys():
                    break
                await asyncio.sleep(0.1)
        assert now["process_start_time_seconds{worker=1}"] > 0 < now["process_start_time_seconds{worker=2}"]
    finally:
        process.end()


async def test_every_line_about_a_trigger_has_its_id_and_its_device(tmp_path: Path, upload_body: Any) -> None:
    process = Process(tmp_path)
    process.start()
    try:
        async with (
            httpx.AsyncClient(base_url=process.url, timeout=30) as client,
            client.stream("GET", "/v1/devices/D1/commands") as response,
        ):
            lines = response.aiter_lines()
            while '"connected"' not in await anext(lines):
                pass
            taken, given_up = [(await client.post("/v1/devices/D1/trigger")).json()["trigger_id"] for _ in range(2)]
            while given_up not in await anext(lines):
                pass
            bad = upload_body("D1", taken, image=b"no picture")
            assert (await client.post("/v1/captures", json=bad)).status_code == 415
            assert (await client.post("/v1/captures", json=upload_body("D1", taken))).status_code == 201
            assert (await client.post("/v1/captures", json=upload_body("D1", taken))).status_code == 200
            report = {"status": "failed", "reason": "camera_absent"}
            path = f"/v1/devices/D1/triggers/{given_up}/outcome"
            assert (await client.post(path, json=report)).status_code == 200
            assert (await client.get("/v1/devices/nobody")).status_code == 404, "a stranger's refusal is no line"
    finally:
        process.end()
    written = process.log.read_text().splitlines()

    def about(trigger_id: str) -> list[str]:
        found = [line for line in written if f"trigger_id={trigger_id}" in line]
        assert all("device=D1" in line for line in found), found
        return [re.sub(r"^\[\w+\] (.*?) \w+=.*", r"\1", line) for line in found]

    assert about(taken) == ["trigger created", "trigger sent", "refused", "picture stored", "picture was stored before"]
    assert about(given_up) == ["trigger created", "trigger sent", "outcome reported"]
    assert not any("nobody" in line for line in written)


async def test_a_log_that_nobody_reads_and_a_heartbeat_without_a_folder_end_no_cloud(tmp_path: Path) -> None:
    (tmp_path / "beats").mkdir()
    process = Process(tmp_path, HEARTBEAT_FILE=str(tmp_path / "beats" / "heartbeat"))
    with subprocess.Popen([*PROGRAM, "run"], env=process.environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            while not (ready := re.search(r"cloud ready url=(\S+)", await asyncio.to_thread(running.stdout.readline))):
                assert running.poll() is None
            running.stdout.close()
            shutil.rmtree(tmp_path / "beats")
            async with httpx.AsyncClient(base_url=ready.group(1), timeout=30) as client:
                async with client.stream("GET", "/v1/devices/D1/commands") as response:
                    assert response.status_code == 200
                assert (await client.post("/v1/devices/D1/trigger")).status_code == 200
                await client.put("/v1/devices/D1/schedule", json={"interval_seconds": 1})
                async with asyncio.timeout(60):  # rounds of the scheduler, whose beat cannot be written
                    while (await client.get("/v1/devices/D1/triggers")).text.count('"scheduled"') < 2:
                        await asyncio.sleep(0.05)
                (tmp_path / "beats").mkdir()
                async with asyncio.timeout(60):
                    while not (tmp_path / "beats" / "heartbeat").exists():
                        await asyncio.sleep(0.05)
            assert running.poll() is None
        finally:
            running.kill()
