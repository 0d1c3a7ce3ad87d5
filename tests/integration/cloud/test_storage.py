"""Pictures on the disk: full, late, old, left over."""

import asyncio
import errno
import os
import threading
import time as wall
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from visant_cloud import housekeeping
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.store import captures
from visant_runtime import durable
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop


async def registered(start: Any, **chosen: Any) -> Any:
    cloud = await start(**chosen)
    await cloud.register()
    return cloud


async def test_a_full_disk_answers_507_and_what_was_stored_keeps_its_receipt(start: Any) -> None:
    cloud = await registered(start)
    assert (await cloud.capture("D1", "before")).status_code == 201
    cloud = await start(min_free_bytes=1 << 60)
    answer = await cloud.capture("D1", "after")
    assert answer.status_code == 507 and int(answer.headers["retry-after"]) > 0
    assert (await cloud.capture("D1", "before")).status_code == 200
    assert (await cloud.client.get("/v1/devices/D1/triggers")).json()["triggers"][0]["trigger_id"] == "before"


async def test_a_backlog_is_slowed_down_and_fresh_pictures_are_not(start: Any) -> None:
    cloud = await registered(start)
    cloud.cloud.delivery_limits = RateLimits(1 / 60, 1.0, lambda: cloud.time().timestamp())
    old = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
    assert (await cloud.capture("D1", "old1", captured_at=old)).status_code == 201
    answer = await cloud.capture("D1", "old2", captured_at=old)
    assert answer.status_code == 429 and 1 <= int(answer.headers["retry-after"]) <= 60
    for number in range(5):
        fresh = cloud.time().isoformat()
        assert (await cloud.capture("D1", f"new{number}", captured_at=fresh)).status_code == 201
    cloud.time.pass_(float(answer.headers["retry-after"]))
    assert (await cloud.capture("D1", "old2", captured_at=old)).status_code == 201


async def test_pictures_older_than_retention_go_and_the_ledger_stays(start: Any) -> None:
    cloud = await registered(start, retention_days=2.0)
    await cloud.capture("D1", "old")
    cloud.time.pass_(86400)
    await cloud.capture("D1", "young")
    assert await housekeeping.remove_old(cloud.cloud, [], cloud.time()) == 0
    cloud.time.pass_(86400 + 5)
    assert await housekeeping.remove_old(cloud.cloud, [], cloud.time()) == 1
    left = (await cloud.client.get("/v1/captures")).json()["captures"]
    assert [one["trigger_id"] for one in left] == ["young"]
    assert len(cloud.files()) == 2, "a picture and its thumbnail"
    assert (await cloud.row("D1", "old"))["status"] == "executed"
    assert "removed" in (await cloud.client.get("/devices/D1")).text


async def test_files_without_a_record_are_set_aside_and_others_are_not(start: Any) -> None:
    cloud = await registered(start)
    await cloud.capture("D1", "kept")
    kept = set(cloud.files())
    folder = next(iter(kept)).parent
    orphans = [folder / "aaaa.jpg", folder / "bbbb.new", folder / "aaaa.thumb.jpg"]
    young = folder / "cccc.jpg"
    for path in [*orphans, young]:
        path.write_bytes(b"x")
    for path in [*orphans, *kept]:
        os.utime(path, (wall.time() - 7200,) * 2)
    assert [count async for count in housekeeping.set_orphans_aside(cloud.cloud)] == [3]
    assert set(cloud.files()) == kept | {young}
    aside = folder.parent.parent / ".without-record"
    assert [path.name for path in aside.iterdir()] == ["aaaa.jpg"], "a picture is never deleted, a draft is"


async def test_what_was_set_aside_goes_after_30_days_and_a_clock_that_is_ahead_removes_nothing(
    start: Any, tmp_path: Path
) -> None:
    cloud = await start()
    aside = tmp_path / "cloud" / "pictures" / ".without-record"
    aside.mkdir(parents=True)
    (aside / "one.jpg").write_bytes(b"x")
    os.utime(aside / "one.jpg", (0, 0))  # taken long ago, set aside just now
    cloud.time.pass_(365 * 86400.0)
    await housekeeping.Housekeeping(cloud.cloud)._round(Stop(), Heartbeat(tmp_path / "heartbeat"))
    assert (aside / "one.jpg").exists(), "no clock is believed before it has gone right for an hour"
    for days, there in ((29, True), (31, False)):
        await housekeeping.remove_aside(cloud.cloud, datetime.now(UTC) + timedelta(days=days))
        assert (aside / "one.jpg").exists() == there


async def test_a_start_looks_through_one_folder_at_a_time_and_never_on_the_event_loop(
    start: Any, eventually: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await start()
    root = tmp_path / "cloud" / "pictures"
    orphans = [{f"{month}-{number}" for number in range(2)} for month in ("1-2026-10", "1-2026-11", "2-2026-11")]
    for record_id in set.union(*orphans):
        path = root / f"D{record_id[0]}" / record_id[2:9] / f"{record_id}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (wall.time() - 7200,) * 2)
    looked_up: list[set[str]] = []
    on_the_loop: list[str] = []
    known = captures.known
    loop = threading.get_ident()

    async def noted(connection: Any, record_ids: Any) -> set[str]:
        looked_up.append(set(record_ids))
        return await known(connection, record_ids)

    def watch(name: str) -> None:
        real = getattr(os, name)

        def watched(path: Any, *others: Any, **more: Any) -> Any:
            if threading.get_ident() == loop and str(path).startswith(str(root)):
                on_the_loop.append(f"{name} {path}")
            return real(path, *others, **more)

        monkeypatch.setattr(os, name, watched)

    async def looked_through() -> bool:
        return set().union(*looked_up) == set.union(*orphans)

    monkeypatch.setattr(captures, "known", noted)
    for name in ("scandir", "listdir", "stat", "replace"):
        watch(name)
    stop = Stop()
    running = asyncio.create_task(housekeeping.Housekeeping(cloud.cloud).run(stop, Heartbeat(tmp_path / "heartbeat")))
    await eventually(looked_through)
    stop.set()
    await running
    monkeypatch.undo()
    assert on_the_loop == []
    assert sorted(map(sorted, looked_up)) == sorted(map(sorted, orphans))
    aside = {path.stem for path in (root / ".without-record").iterdir()}
    assert aside == set.union(*orphans) and cloud.files() == []


async def test_a_disk_that_fails_leaves_the_picture_with_the_device_and_makes_no_record(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await registered(start)

    def broken(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(durable, "write", broken)
        answer = await cloud.capture("D1", "t")
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert [one["reason"] for one in logs if one["log_level"] == "warning"] == ["the disk: Input/output error"]
    assert (await cloud.client.get("/v1/captures")).json()["captures"] == []
    assert (await cloud.capture("D1", "t")).status_code == 201


async def test_a_record_whose_file_is_gone_says_so(start: Any) -> None:
    cloud = await registered(start)
    record = (await cloud.capture("D1", "t")).json()["record_id"]
    for path in cloud.files():
        path.unlink()
    for kind in ("picture", "thumbnail"):
        answer = await cloud.client.get(f"/v1/captures/{record}/{kind}")
        assert answer.status_code == 404 and "gone from the storage" in answer.json()["detail"]
