"""Every trigger ends in exactly one outcome: who may say it, and what wins."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from visant_cloud.commands.expiry import Expiry


async def ready(start: Any, **chosen: Any) -> tuple[Any, str]:
    cloud = await start(**chosen)
    await cloud.register()
    return cloud, await cloud.trigger("D1")


async def say(cloud: Any, trigger_id: str, status: str, reason: str | None = None, **more: Any) -> Any:
    body = {"status": status, "reason": reason, **more}
    answer = await cloud.client.post(f"/v1/devices/D1/triggers/{trigger_id}/outcome", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def sweep(cloud: Any) -> int:
    return int(await Expiry(cloud.cloud.database, cloud.time, cloud.cloud.settings.silence_grace).sweep())


async def test_a_failure_is_final_and_shown_with_its_remedy(start: Any) -> None:
    cloud, trigger_id = await ready(start)
    await say(cloud, trigger_id, "failed", "camera_absent", detail="no /dev/video0")
    await say(cloud, trigger_id, "failed", "camera_stalled")
    await say(cloud, trigger_id, "expired", "rebooted")
    row = await cloud.row("D1", trigger_id)
    assert (row["status"], row["reason"], row["detail"]) == ("failed", "camera_absent", "no /dev/video0")
    assert row["remedy"].startswith("Plug the camera in") and row["provisional"] is False
    assert "Plug the camera in" in (await cloud.client.get("/devices/D1")).text


async def test_a_stored_picture_wins_over_a_failure_said_before_or_after(start: Any) -> None:
    cloud, trigger_id = await ready(start)
    await say(cloud, trigger_id, "failed", "spool_corrupt")
    assert (await cloud.capture("D1", trigger_id)).status_code == 201
    row = await cloud.row("D1", trigger_id)
    assert (row["status"], row["reason"]) == ("executed", None)
    assert [(said["status"], said["reason"], said["by"]) for said in row["history"]] == [
        ("failed", "spool_corrupt", "device")
    ]
    assert (await say(cloud, trigger_id, "expired", "deadline_passed"))["status"] == "executed"
    assert (await cloud.row("D1", trigger_id))["status"] == "executed"


async def test_silence_expires_a_trigger_for_now_and_a_late_picture_mends_it(start: Any) -> None:
    cloud, trigger_id = await ready(start, silence_grace=10.0, manual_ttl=60.0)
    cloud.time.pass_(65)
    assert await sweep(cloud) == 0, "the grace is not over"
    cloud.time.pass_(10)
    assert await sweep(cloud) == 1
    row = await cloud.row("D1", trigger_id)
    assert (row["status"], row["reason"], row["provisional"]) == ("expired", "device_silent", True)
    assert "for now" in (await cloud.client.get("/devices/D1")).text
    cloud.time.pass_(3 * 86400)
    taken = datetime.now(UTC) + timedelta(seconds=2)
    assert (await cloud.capture("D1", trigger_id, captured_at=taken.isoformat())).status_code == 201
    row = await cloud.row("D1", trigger_id)
    assert (row["status"], row["provisional"], row["reason"]) == ("executed", False, None)
    assert row["captured_at"] < row["history"][0]["at"] < row["stored_at"], "the ledger shows both times"
    assert row["history"][0]["by"] == "cloud"
    assert "3.0 days later" in (await cloud.client.get("/devices/D1")).text


async def test_the_devices_own_expiry_replaces_the_clouds(start: Any) -> None:
    cloud, trigger_id = await ready(start, silence_grace=0.0, manual_ttl=5.0)
    cloud.time.pass_(6)
    assert await sweep(cloud) == 1
    await say(cloud, trigger_id, "expired", "rebooted")
    row = await cloud.row("D1", trigger_id)
    assert (row["status"], row["reason"], row["provisional"]) == ("expired", "rebooted", False)
    assert await sweep(cloud) == 0


async def test_an_outcome_of_an_unknown_trigger_makes_its_row(start: Any) -> None:
    cloud, _ = await ready(start)
    for trigger_id in ("from/another cloud", "y" * 300, "naïve ✓"):
        await say(cloud, trigger_id, "failed", "camera_absent")
        assert (await cloud.row("D1", trigger_id))["status"] == "failed"


async def test_a_reason_of_a_newer_device_is_kept_as_text(start: Any) -> None:
    cloud, trigger_id = await ready(start)
    await say(cloud, trigger_id, "failed", "lens_cap_on")
    row = await cloud.row("D1", trigger_id)
    assert row["reason"] == "lens_cap_on" and row["remedy"] is None


async def test_an_outcome_without_reason_or_with_a_foreign_status_is_refused(start: Any) -> None:
    cloud, trigger_id = await ready(start)
    path = f"/v1/devices/D1/triggers/{trigger_id}/outcome"
    bodies: list[Any] = [{"status": "failed"}, {"status": "captured"}, {}, [], "x"]
    for body in bodies:
        answer = await cloud.client.post(path, json=body)
        assert answer.status_code == 422, body
    assert (await cloud.client.post(path, content=b"{")).status_code == 422
    assert (await cloud.row("D1", trigger_id))["status"] == "pending"


async def test_a_capture_and_a_failure_at_the_same_moment_end_in_the_capture(start: Any) -> None:
    cloud, _ = await ready(start)
    for trigger_id in await cloud.triggers("D1", 10):
        await asyncio.gather(cloud.capture("D1", trigger_id), say(cloud, trigger_id, "failed", "camera_stalled"))
        assert (await cloud.row("D1", trigger_id))["status"] == "executed"


async def test_the_uncertainty_of_the_devices_clock_is_kept_and_shown(start: Any) -> None:
    cloud, trigger_id = await ready(start)
    moment = {"boot_id": "b", "boottime": 12.5, "wall": "2025-01-01T00:00:00Z", "synchronised": False}
    metadata = {"trigger_type": "manual", "time": {**moment, "corrected": True, "uncertainty": 2.5}}
    record = (await cloud.capture("D1", trigger_id, metadata=metadata)).json()["record_id"]
    shown = (await cloud.client.get(f"/v1/captures/{record}")).json()
    assert shown["captured_at_uncertainty"] == 2.5 and shown["metadata"]["time"]["corrected"] is True
    assert "± 2.5 s" in (await cloud.client.get("/devices/D1")).text
