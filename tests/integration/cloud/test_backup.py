"""Backup and restore: beside pictures that come in, killed in the middle, on a full disk, and of every bad kind."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tests.support.cloud_process import Process
from tests.support.postgres import PostgresServer
from tests.support.swift import SwiftServer
from visant_cloud.backup import cli, making, manifest, restoring, rows
from visant_cloud.backup.manifest import BackupError
from visant_cloud.backup.rows import KEPT, Rows
from visant_cloud.captures.storage import PictureName
from visant_cloud.database.engine import Database
from visant_cloud.settings import CloudSettings
from visant_cloud.store import captures, schema
from visant_cloud.store.tables import metadata

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def no_beat() -> None:
    pass


async def backed_up(cloud: Any, folder: Path, **more: Any) -> Path:
    chosen = {"pictures": "copy", "keep": None, "beat": no_beat, **more}
    return await making.make(cloud.cloud.settings, cloud.cloud.database, folder, **chosen)


@pytest.fixture
def elsewhere(tmp_path: Path, engine: str, postgres: PostgresServer) -> dict[str, Any]:
    """Settings of an empty cloud whose database is of the other kind."""
    url = postgres.url(f"t{secrets.token_hex(8)}") if engine == "sqlite" else None
    return {"data_dir": tmp_path / "elsewhere", "database_url": url}


@asynccontextmanager
async def pictures_coming_in(cloud: Any, devices: int = 3) -> AsyncIterator[list[str]]:
    """Triggers and their pictures without a pause; the list grows with each receipt."""
    stored: list[str] = []
    stop = asyncio.Event()

    async def one_after_the_other(device_id: str) -> None:
        while not stop.is_set():
            trigger_id = await cloud.trigger(device_id)
            answer = await cloud.capture(device_id, trigger_id, metadata={"trigger_type": "manual", "n": len(stored)})
            assert answer.status_code == 201, answer.text
            stored.append(trigger_id)

    tasks = [asyncio.create_task(one_after_the_other(f"D{number}")) for number in range(devices)]
    try:
        yield stored
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def everything(database: Rows) -> dict[str, list[dict[str, Any]]]:
    """Table -> its rows, in an order that does not hang on the database."""
    return {table.name: sorted((row for part in database.parts(table) for row in part), key=repr) for table in KEPT}


async def everything_of(chosen: CloudSettings) -> dict[str, list[dict[str, Any]]]:
    database = Database(chosen.engine_url())
    try:
        async with database.reading() as connection:
            return {
                table.name: sorted((dict(row._mapping) for row in await connection.execute(select(table))), key=repr)
                for table in KEPT
            }
    finally:
        await database.close()


async def test_a_backup_beside_pictures_that_come_in_is_of_one_moment_and_becomes_the_same_cloud_elsewhere(
    start: Any, tmp_path: Path, elsewhere: dict[str, Any]
) -> None:
    cloud = await start()
    for number in range(3):
        await cloud.register(f"D{number}")
    async with pictures_coming_in(cloud) as stored:
        while len(stored) < 10:
            await asyncio.sleep(0.01)
        backup = await backed_up(cloud, tmp_path / "backups")
        during = len(stored)
        while len(stored) < during + 3:
            await asyncio.sleep(0.01)

    found = await restoring.check(backup, no_beat)
    kept = Rows(backup / manifest.ROWS)
    recorded = {row["trigger_id"] for part in kept.parts(metadata.tables["captures"]) for row in part}
    executed = {
        row["trigger_id"]
        for part in kept.parts(metadata.tables["triggers"])
        for row in part
        if row["status"] == "executed"
    }
    assert recorded == executed, "rows of two moments"
    assert 10 <= len(recorded) == found.picture_count < len(stored)
    assert len(list((backup / manifest.PICTURES).rglob("*.jpg"))) == 2 * found.picture_count, "with thumbnails"

    chosen = CloudSettings(**elsewhere, auth="open")
    await restoring.restore(chosen, backup, None, no_beat)
    assert await everything_of(chosen) == everything(kept)

    again = await start(**elsewhere)
    assert again.cloud.cloud_id == cloud.cloud.cloud_id, "the devices know it as the same"
    listed = (await again.client.get("/v1/captures", params={"limit": 1000})).json()["captures"]
    assert {one["trigger_id"] for one in listed} == recorded
    for one in listed:
        assert (await again.client.get(f"/v1/captures/{one['record_id']}/picture")).status_code == 200
    newest = max(row["seq"] for part in kept.parts(metadata.tables["triggers"]) for row in part)
    trigger_id = await again.trigger("D0")
    assert (await again.capture("D0", trigger_id)).status_code == 201
    async with again.cloud.database.reading() as connection:
        table = metadata.tables["triggers"]
        made = (await connection.execute(select(table.c.seq).where(table.c.trigger_id == trigger_id))).scalar_one()
    assert made > newest, "it counts on from where the other was"


async def test_what_must_not_come_back_is_not_in_a_backup(start: Any, tmp_path: Path) -> None:
    """A session that was ended since, or a code that was used since, would be good again."""
    cloud = await start()
    await cloud.register()
    backup = await backed_up(cloud, tmp_path / "backups")
    with closing(sqlite3.connect(backup / manifest.ROWS)) as connection:
        for table in rows.LEFT_OUT:
            assert connection.execute(f"SELECT count(*) FROM {table.name}").fetchone() == (0,)
    of_now = {"sessions", "processes", "leases", "enrol_codes", "invites"}
    assert {table.name for table in rows.LEFT_OUT} == of_now | {"event_notes", "events", "event_counter"}
    assert set(rows.KEPT) | set(rows.LEFT_OUT) == set(metadata.sorted_tables)


async def test_a_picture_that_retention_takes_meanwhile_takes_its_row_from_the_backup(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await start()
    await cloud.register()
    for trigger_id in ("old", "new"):
        assert (await cloud.capture("D1", trigger_id)).status_code == 201
    copy_out = rows.copy_out

    async def and_then_retention(*words: Any) -> None:
        await copy_out(*words)
        async with cloud.cloud.database.reading() as connection:
            newest = await captures.of_trigger(connection, "D1", "new")
        assert newest is not None
        await cloud.cloud.pictures.remove([PictureName("D1", newest.received_at, newest.record_id)])

    monkeypatch.setattr(rows, "copy_out", and_then_retention)
    backup = await backed_up(cloud, tmp_path / "backups")
    found = await restoring.check(backup, no_beat)
    kept = everything(Rows(backup / manifest.ROWS))
    assert found.picture_count == 1
    assert [row["trigger_id"] for row in kept["captures"]] == ["old"]
    assert kept["device_states"][0]["newest_record_id"] == kept["captures"][0]["record_id"]
    assert {row["trigger_id"] for row in kept["triggers"]} == {"old", "new"}, "the ledger stays"


async def test_a_picture_is_copied_once_and_the_oldest_backup_goes(start: Any, tmp_path: Path) -> None:
    cloud = await start()
    await cloud.register()
    await cloud.capture("D1", "first")
    one = await backed_up(cloud, tmp_path / "backups")
    await cloud.capture("D1", "second")
    two = await backed_up(cloud, tmp_path / "backups", keep=2)
    assert one.exists()
    pictures = {path.name: path.stat().st_nlink for path in (two / manifest.PICTURES).rglob("*.jpg")}
    assert sorted(pictures.values()) == [1, 1, 2, 2], "picture and thumbnail of the first are links"
    three = await backed_up(cloud, tmp_path / "backups", keep=2)
    assert manifest.whole(tmp_path / "backups") == [two, three]
    assert (await restoring.check(three, no_beat)).picture_count == 2


async def test_nobody_else_may_read_a_backup(start: Any, tmp_path: Path) -> None:
    cloud = await start()
    await cloud.register()
    await cloud.capture("D1", "t")
    before = os.umask(0o077)  # as the command does
    try:
        backup = await backed_up(cloud, tmp_path / "backups")
    finally:
        os.umask(before)
    for path in (backup, *backup.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_a_picture_that_was_damaged_before_is_kept_said_and_restored_as_it_is(
    start: Any, tmp_path: Path, elsewhere: dict[str, Any]
) -> None:
    cloud = await start()
    await cloud.register()
    await cloud.capture("D1", "t")
    (damaged,) = [path for path in cloud.files() if not path.name.endswith(".thumb.jpg")]
    content = bytearray(damaged.read_bytes())
    content[-20] ^= 1
    damaged.write_bytes(content)
    backup = await backed_up(cloud, tmp_path / "backups")
    found = await restoring.check(backup, no_beat)
    assert list(found.damaged) == [damaged.stem]
    await restoring.restore(CloudSettings(**elsewhere), backup, None, no_beat)
    (restored,) = elsewhere["data_dir"].rglob(damaged.name)
    assert restored.read_bytes() == content


async def test_a_cloud_that_is_there_is_replaced_only_by_its_name(
    start: Any, tmp_path: Path, elsewhere: dict[str, Any]
) -> None:
    elsewhere["data_dir"].mkdir()
    cloud = await start()
    await cloud.register("OLD")
    backup = await backed_up(cloud, tmp_path / "backups")
    other = await start(**elsewhere)
    await other.register("THERE")
    there = other.cloud.cloud_id
    chosen = CloudSettings(**elsewhere)
    (tmp_path / "nobody").mkdir()
    await start(data_dir=tmp_path / "nobody", database_url=None)  # the other ends
    before = await everything_of(chosen)
    for replace, said in (
        (None, f"`--replace {there}`"),
        (cloud.cloud.cloud_id, f"the cloud that is there is {there}"),
    ):
        with pytest.raises(BackupError, match=said):
            await restoring.restore(chosen, backup, replace, no_beat)
        assert await everything_of(chosen) == before
    await restoring.restore(chosen, backup, there, no_beat)
    assert [row["device_id"] for row in (await everything_of(chosen))["devices"]] == ["OLD"]


async def test_a_backup_of_an_older_schema_is_brought_to_the_present_one(
    start: Any, tmp_path: Path, elsewhere: dict[str, Any]
) -> None:
    from alembic import command
    from alembic.config import Config

    backup = tmp_path / "old"
    backup.mkdir()

    def to_0005(connection: Any) -> None:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")

    database = Database(f"sqlite+aiosqlite:///{backup / manifest.ROWS}")
    async with database.writing() as connection:
        await connection.run_sync(to_0005)
    await database.close()
    with closing(sqlite3.connect(backup / manifest.ROWS, isolation_level=None)) as old:
        old.execute("INSERT INTO meta (organisation_id, key, value) VALUES ('default', 'cloud_id', 'c0ffee')")
    rows.settle(backup / manifest.ROWS)
    manifest.write(
        backup,
        manifest.Manifest(
            format=1,
            made_at=datetime.now(UTC),
            release="2.0.0",
            schema_revision="0005",
            clouds={"default": "c0ffee"},
            rows_bytes=(backup / manifest.ROWS).stat().st_size,
            rows_sha256=manifest.sha256_of(backup / manifest.ROWS, no_beat),
            rows={},
            pictures="copied",
            pictures_at="",
            picture_count=0,
            picture_bytes=0,
        ),
    )
    chosen = CloudSettings(**elsewhere)
    await restoring.restore(chosen, backup, None, no_beat)
    assert (await everything_of(chosen))["meta"] == [
        {"organisation_id": "default", "key": "cloud_id", "value": "c0ffee"}
    ]


def change(**fields: Any) -> Any:
    def changed(backup: Path) -> None:
        told = json.loads((backup / manifest.NAME).read_text())
        (backup / manifest.NAME).write_text(json.dumps(told | fields))

    return changed


def cut(backup: Path) -> None:
    (backup / manifest.NAME).unlink()


def half_a_manifest(backup: Path) -> None:
    text = (backup / manifest.NAME).read_text()
    (backup / manifest.NAME).write_text(text[: len(text) // 2])


def other_rows(backup: Path) -> None:
    with open(backup / manifest.ROWS, "r+b") as file:
        file.seek(4000)
        file.write(b"x")


def other_picture(backup: Path) -> None:
    one = next(path for path in backup.rglob("*.jpg") if not path.name.endswith(".thumb.jpg"))
    one.write_bytes(one.read_bytes()[:-1])


def no_picture(backup: Path) -> None:
    next(path for path in backup.rglob("*.jpg") if not path.name.endswith(".thumb.jpg")).unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "there is no such folder"),
        (cut, "was never finished"),
        (half_a_manifest, "manifest.json is damaged"),
        (change(clouds={}), "it names no cloud"),
        (change(format=2), "format 2, made by release"),
        (change(schema_revision="9999"), "its schema 9999 is newer than this release's"),
        (change(pictures="left", pictures_at="s3://bucket/?region=r"), "set STORAGE_URL=s3://bucket"),
        (other_rows, "cloud.db is not what was backed up"),
        (other_picture, "is not what was backed up"),
        (no_picture, "cannot be read"),
    ],
    ids=lambda one: getattr(one, "__name__", None) if callable(one) else str(one)[:20],
)
@on_sqlite  # a backup is the same file whatever it came from: asked on SQLite
async def test_a_spoilt_backup_is_one_line_and_changes_nothing(
    start: Any, tmp_path: Path, engine: str, elsewhere: dict[str, Any], spoil: Any, said: str
) -> None:
    cloud = await start()
    await cloud.register()
    await cloud.capture("D1", "t")
    backup = await backed_up(cloud, tmp_path / "backups")
    spoil(backup)
    chosen = CloudSettings(**elsewhere)
    with pytest.raises(BackupError) as refusal:
        await restoring.restore(chosen, backup, None, no_beat)
    assert said in str(refusal.value)
    assert str(refusal.value).count("\n") == 0
    assert not list(elsewhere["data_dir"].rglob("*.jpg")), "no picture was put back"


@on_sqlite  # no database is asked
async def test_a_folder_of_backups_is_told_from_a_backup(start: Any, tmp_path: Path, engine: str) -> None:
    cloud = await start()
    await backed_up(cloud, tmp_path / "backups")
    newest = await backed_up(cloud, tmp_path / "backups")
    with pytest.raises(BackupError, match=f"holds 2 backups: name one of them, the newest is {newest}"):
        await restoring.check(tmp_path / "backups", no_beat)
    with pytest.raises(BackupError, match="is no backup"):
        await restoring.check(tmp_path, no_beat)


@pytest.mark.xdist_group("swift")
@on_sqlite  # where rows lie makes no difference to a bucket
async def test_pictures_in_a_bucket_stay_there_or_come_along(
    start: Any, tmp_path: Path, engine: str, swift: SwiftServer, bucket: str, elsewhere: dict[str, Any]
) -> None:
    mine = {key.lower(): value for key, value in swift.settings(bucket, "site").items()}
    cloud = await start(**mine)
    await cloud.register()
    assert (await cloud.capture("D1", "t")).status_code == 201
    left = await backed_up(cloud, tmp_path / "left", pictures="leave")
    assert not (left / manifest.PICTURES).exists()
    copied = await backed_up(cloud, tmp_path / "copied")
    with pytest.raises(BackupError, match="set STORAGE_URL="):
        await restoring.restore(CloudSettings(**elsewhere), left, None, no_beat)
    await restoring.restore(CloudSettings(**elsewhere), copied, None, no_beat)
    again = await start(**elsewhere)
    (one,) = (await again.client.get("/v1/captures")).json()["captures"]
    assert (await again.client.get(f"/v1/captures/{one['record_id']}/picture")).status_code == 200


# As commands, beside and instead of a process.


@pytest.fixture
def process(tmp_path: Path, database_url: str | None) -> Iterator[Process]:
    one = Process(tmp_path, **({"DATABASE_URL": database_url} if database_url else {}))
    yield one
    one.end()


def stored(process: Process, *trigger_ids: str) -> None:
    """Pictures of a device that the running cloud has."""
    import base64

    from tests.integration.cloud.conftest import jpeg

    with httpx.Client(base_url=process.url, timeout=30) as client:
        with client.stream("GET", "/v1/devices/D1/commands") as stream:
            next(stream.iter_lines())
        for trigger_id in trigger_ids:
            answer = client.post(
                "/v1/captures",
                json={
                    "device_id": "D1",
                    "trigger_id": trigger_id,
                    "image_base64": base64.b64encode(jpeg()).decode(),
                    "captured_at": datetime.now(UTC).isoformat(),
                    "metadata": {},
                },
            )
            assert answer.status_code == 201, answer.text


def trigger_ids(process: Process) -> set[str]:
    answer = httpx.get(f"{process.url}/v1/captures", params={"limit": 1000}, timeout=30)
    return {one["trigger_id"] for one in answer.json()["captures"]}


def stop(process: Process) -> None:
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(30) == 0


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1, done
    assert done.stderr.startswith("[ERROR] "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_kill_9_at_any_step_leaves_a_whole_backup_or_none_and_the_old_cloud_or_the_new(
    process: Process, tmp_path: Path, engine: str
) -> None:
    folder = tmp_path / "backups"
    process.start()
    stored(process, "one", "two")
    for step in ("backup_rows", "backup_pictures") if engine == "sqlite" else ("backup_rows",):
        process.environment["VISANT_KILL_POINT"] = step
        assert process.run("backup", str(folder)).returncode == -signal.SIGKILL
        assert manifest.whole(folder) == []
        assert "was never finished" in one_line(process.run("restore", "--check", str(folder / ".making")))
    process.environment["VISANT_KILL_POINT"] = "backup_made"
    assert process.run("backup", str(folder)).returncode == -signal.SIGKILL
    del process.environment["VISANT_KILL_POINT"]
    done = process.run("backup", str(folder), "--keep", "1")
    assert done.returncode == 0, done.stderr
    (backup,) = manifest.whole(folder)
    assert done.stdout.strip() == str(backup)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", backup.name], "nothing half made is left"

    stored(process, "three")
    refused = one_line(process.run("restore", str(backup), "--replace", "0"))
    assert "stop the cloud first" in refused
    stop(process)
    cloud_id = manifest.read(backup, schema.HEAD).cloud_id
    for step in ("restore_pictures", "restore_rows"):
        process.environment["VISANT_KILL_POINT"] = step
        assert process.run("restore", str(backup), "--replace", cloud_id).returncode == -signal.SIGKILL
        del process.environment["VISANT_KILL_POINT"]
    process.start()
    assert trigger_ids(process) == {"one", "two", "three"}, "the cloud that was there"
    stop(process)
    assert f"--replace {cloud_id}" in one_line(process.run("restore", str(backup)))
    done = process.run("restore", str(backup), "--replace", cloud_id)
    assert done.returncode == 0, done.stderr
    assert "1 devices, 2 triggers, 2 pictures" in done.stdout
    process.start()
    assert trigger_ids(process) == {"one", "two"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts a small disk")
@on_sqlite  # the disk is the backup's
def test_a_full_disk_is_one_line_and_leaves_no_part_of_a_backup(process: Process, tmp_path: Path, engine: str) -> None:
    process.start()
    stored(process, "one")
    small = tmp_path / "small"
    small.mkdir()
    for size, said in (("200k", "is there room"), ("4m", "MB are free: make room there")):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(small)], check=True)
        try:
            refused = one_line(process.run("backup", str(small)))
            assert said in refused
            assert [path.name for path in small.iterdir()] == [".lock"]
        finally:
            subprocess.run(["umount", str(small)], check=True)
    assert trigger_ids(process) == {"one"}, "the cloud noticed nothing"


@on_sqlite  # the loop asks no database
def test_a_service_of_its_own_makes_one_at_once_and_ends_when_told(
    process: Process, tmp_path: Path, engine: str
) -> None:
    process.start()
    stored(process, "one")
    folder = tmp_path / "backups"
    beat = {**process.environment, "HEARTBEAT_FILE": str(tmp_path / "beat")}
    with open(tmp_path / "service.log", "wb") as log:
        service = subprocess.Popen(
            [*process.program, "backup", str(folder), "--every", "24"], env=beat, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while not manifest.whole(folder):
            assert service.poll() is None and time.monotonic() < deadline, (tmp_path / "service.log").read_text()
            time.sleep(0.05)
        health = subprocess.run([*process.program, "health"], env=beat, capture_output=True, text=True)
        assert health.returncode == 0, health.stdout
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0, (tmp_path / "service.log").read_text()
    finally:
        service.kill()
        service.wait()
    assert len(manifest.whole(folder)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backup",), "folder"),
        (("backup", "x", "--keep", "0"), "no number from 1 on"),
        (("backup", "x", "--every", "soon"), "no number of hours"),
        (("backup", "x", "--pictures", "maybe"), "--pictures"),
        (("restore",), "backup"),
    ],
)
@on_sqlite  # no database is asked
def test_a_wrong_call_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], engine: str, words: tuple[str, ...], said: str
) -> None:
    assert {"backup": cli.backup, "restore": cli.restore}[words[0]](words[1:]) == 2
    assert said in capsys.readouterr().err


@on_sqlite  # no database is asked
def test_a_folder_that_cannot_be_used_is_one_line(process: Process, tmp_path: Path, engine: str) -> None:
    assert "there is no database at" in one_line(process.run("backup", str(tmp_path / "there")))
    assert "/nowhere: there is no such folder" in one_line(process.run("restore", "/nowhere"))
    (tmp_path / "data").mkdir()
    assert process.run("migrate").returncode == 0
    assert "/proc/x cannot be written" in one_line(process.run("backup", "/proc/x"))


@on_sqlite  # one address without a server is enough
def test_a_database_that_is_away_is_one_line(process: Process, tmp_path: Path, engine: str) -> None:
    process.environment["DATABASE_URL"] = "postgresql://visant@127.0.0.1:1/none"
    assert "the database cannot be used" in one_line(process.run("backup", str(tmp_path / "b")))
