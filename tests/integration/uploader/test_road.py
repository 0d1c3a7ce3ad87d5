"""A command in Redis becomes a picture at the cloud, or a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_camera import FakeCamera, boottime
from tests.fakes.fake_cloud import FakeCloud
from tests.support.uploader_process import BOOT_ID, Device, until
from visant_contract.stages import read_stages
from visant_contract.stream import CLOUD, DEADLINES, ENTRY_FIELD, NETWORK, STREAM


@pytest.mark.usefixtures("real_start")
def test_an_admitted_command_becomes_one_picture_at_the_cloud(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    device.confirm_stream()
    device.start(DEVICE_TOKEN="secret-token")
    device.admit("t-1", trigger_type="scheduled")
    until(lambda: cloud.captures() == ["t-1"])
    stored = cloud.stored[0]
    assert stored.jpeg == camera.picture(1)
    assert stored.headers["idempotency-key"] == "t-1"
    assert stored.headers["authorization"] == "Bearer secret-token"
    assert stored.fields["device_id"] == "FLOOR1"
    assert stored.fields["trigger_label"] == "scheduled_t-1"
    assert stored.fields["metadata"]["trigger_type"] == "scheduled"
    assert stored.fields["metadata"]["time"]["uncertainty"] is not None
    stages = read_stages(stored.fields["metadata"])  # `admitted` is the connector's to say, which is not here
    assert list(stages) == ["camera_asked", "exposed", "spooled", "upload_began"]
    assert sorted(stages.values(), key=lambda one: one.at) == list(stages.values())
    assert stages["exposed"].at.isoformat() == stored.fields["captured_at"]
    until(lambda: device.files() == [] and device.queue_length() == 0)
    assert "secret-token" not in device.log()


def test_a_command_in_time_costs_no_question_after_a_later_deadline_and_one_that_is_late_does(
    device: Device, cloud: FakeCloud
) -> None:
    def asked() -> int:
        with device.redis as connection:
            stats: dict[str, Any] = connection.info("commandstats")
        return int(stats.get("cmdstat_hmget", {"calls": 0})["calls"])

    device.confirm_stream()
    before = asked()
    device.admit("in-time")
    device.start()
    until(lambda: cloud.captures() == ["in-time"])
    assert asked() == before
    device.kill()
    late = device.admit("put-off", ttl=-5.0)
    device.renew(late)
    device.start()
    until(lambda: cloud.captures() == ["in-time", "put-off"])
    assert asked() > before


def test_fifty_commands_at_once_become_fifty_pictures(device: Device, cloud: FakeCloud) -> None:
    device.confirm_stream()
    for number in range(50):
        device.admit(f"t-{number}")
    device.start()
    until(lambda: len(cloud.captures()) == 50)
    assert sorted(cloud.captures()) == sorted(f"t-{number}" for number in range(50))
    until(lambda: device.files() == [] and device.queue_length() == 0)


def test_the_same_trigger_twice_in_the_queue_is_taken_once(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    device.confirm_stream()
    for _ in range(3):
        device.admit("t-1")
    device.start()
    until(lambda: cloud.captures() == ["t-1"] and device.files() == [])
    device.admit("t-1")
    device.admit("t-2")
    until(lambda: cloud.captures() == ["t-1", "t-2"] and device.queue_length() == 0)
    assert camera.served == 2


def test_an_id_with_a_slash_and_300_characters_arrives_whole(device: Device, cloud: FakeCloud) -> None:
    trigger_id = "a/../ü%2F " + "x" * 290
    device.confirm_stream()
    device.start()
    device.admit(trigger_id)
    until(lambda: cloud.captures() == [trigger_id])
    assert len(cloud.stored[0].fields["trigger_label"]) == 100


def test_an_absent_camera_is_reported_with_its_reason_after_the_patience(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    camera.trouble = "camera_absent"
    device.confirm_stream()
    device.start(CAPTURE_PATIENCE="2")
    device.admit("t-1")
    until(lambda: cloud.reports("t-1") == [("failed", "camera_absent")])
    assert cloud.captures() == []


def test_a_camera_that_returns_in_time_still_gives_the_picture(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    camera.trouble = "camera_stalled"
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: camera.asked >= 2)
    camera.trouble = None
    until(lambda: cloud.captures() == ["t-1"])
    assert cloud.outcomes == {}


def test_an_unknown_command_is_answered_as_one(device: Device, cloud: FakeCloud) -> None:
    device.confirm_stream()
    device.start()
    device.admit("t-1", kind="unknown", cmd="reboot_universe")
    until(lambda: cloud.reports("t-1") == [("failed", "unknown_command")])


def test_a_broken_command_that_names_its_trigger_is_answered(device: Device, cloud: FakeCloud) -> None:
    device.confirm_stream()
    device.start()
    device.admit("t-1", kind="unknown", cmd="capture", broken="expires_at: not a time")
    until(lambda: cloud.reports("t-1") == [("failed", "broken_command")])


def test_settings_reach_the_camera_and_are_confirmed(device: Device, camera: FakeCamera, cloud: FakeCloud) -> None:
    device.confirm_stream()
    device.start()
    device.admit("t-1", kind="update_config", cmd="update_config", config={"brightness": 7, "colour": "blue"})
    until(lambda: cloud.reports("t-1") == [("executed", None)])
    assert camera.controls["brightness"] == 7
    assert "colour" in device.log()


def test_settings_that_the_camera_refuses_are_reported_with_the_range(device: Device, cloud: FakeCloud) -> None:
    device.confirm_stream()
    device.start()
    device.admit("t-1", kind="update_config", cmd="update_config", config={"brightness": 9999})
    until(lambda: cloud.reports("t-1") == [("failed", "config_refused")])
    assert "0 to 200" in cloud.outcomes["t-1"][0]["detail"]


def test_settings_without_an_id_are_applied_and_never_answered(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    device.confirm_stream()
    device.start()
    device.admit(None, kind="update_config", cmd="update_config", config={"brightness": 9})
    until(lambda: camera.controls["brightness"] == 9 and device.queue_length() == 0)
    assert cloud.outcomes == {} and device.files() == []


def test_a_queued_command_of_another_version_is_answered(device: Device, camera: FakeCamera, cloud: FakeCloud) -> None:
    device.confirm_stream()
    later = {"cloud_id": device.cloud_id, "trigger_id": "t-later", "kind": "panorama", "cmd": "panorama"}
    deadline = {"boot_id": BOOT_ID, "boottime": boottime() + 60}
    with device.redis as connection:
        connection.xadd(STREAM, {ENTRY_FIELD: json.dumps({**later, "deadline": deadline})})
        connection.xadd(STREAM, {ENTRY_FIELD: json.dumps({**later, "trigger_id": 7, "deadline": "soon"})})
    device.start()
    until(lambda: cloud.reports("t-later") == [("failed", "broken_command")])
    until(lambda: device.queue_length() == 0 and device.files() == [])
    assert camera.asked == 0


def test_a_command_that_nobody_can_read_is_dropped_and_the_next_one_runs(device: Device, cloud: FakeCloud) -> None:
    device.confirm_stream()
    with device.redis as connection:
        connection.xadd("visant:commands", {"entry": "{broken"})
        connection.xadd("visant:commands", {"other": "x"})
    device.start()
    device.admit("t-1")
    until(lambda: cloud.captures() == ["t-1"] and device.queue_length() == 0)


def test_damaged_bytes_in_redis_cost_their_own_entry_only(device: Device, cloud: FakeCloud) -> None:
    device.confirm_stream()
    with device.redis as connection:
        whole = str(connection.xrange(STREAM, device.admit("t-damaged"))[0][1][ENTRY_FIELD]).encode()
        connection.delete(STREAM)
        connection.xadd(STREAM, {ENTRY_FIELD: b"\xff"})
        connection.xadd(STREAM, {ENTRY_FIELD: whole.replace(b"t-damaged", b"t-dama\xffed")})
        connection.hset(DEADLINES, device.admit("t-1"), b"\xff")
        seen = connection.getset(CLOUD, b"\xff")
    device.start()
    until(lambda: device.queue_length() == 0 and len(device.files("outbox")) == 1)
    with device.redis as connection:
        connection.set(CLOUD, str(seen))
    until(lambda: cloud.captures() == ["t-1"])
    assert device.log().count("the entry is not UTF-8") == 2 and cloud.outcomes == {}


def test_a_type_that_fits_no_spool_file_was_queued_and_ends_in_an_outcome(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    device.confirm_stream()
    device.start()
    device.admit("t-1", trigger_type="x" * 70_000)
    device.admit("t-2", trigger_type="x" * 70_000, kind="unknown")
    until(lambda: cloud.captures() == ["t-1"] and cloud.reports("t-2") == [("failed", "unknown_command")])
    assert cloud.stored[0].fields["metadata"]["trigger_type"] == "x" * 100


def test_health_goes_to_the_cloud_soon_after_the_start(device: Device, cloud: FakeCloud) -> None:
    device.confirm_stream()
    device.start()
    told = until(lambda: cloud.telemetry)[0]
    assert told["camera"]["state"] == "ok"
    assert told["spool"]["limit_bytes"] == 8 << 30
    assert told["state"] == "ok"
    assert told["metered"] is False and told["network"].keys() == {"uploader"}
    json.dumps(told)


def test_a_camera_that_is_pulled_and_comes_back_is_told_at_once(
    device: Device, camera: FakeCamera, cloud: FakeCloud, tmp_path: Path
) -> None:
    """The regular report is an hour away. The facts of the host come as visantctl writes them."""
    facts = tmp_path / "facts.json"
    written = {"boot_id": BOOT_ID, "boottime": boottime(), "facts": {"engine": "28.5.1", "restarts": {"camera": 2}}}
    facts.write_text(json.dumps(written))
    device.confirm_stream()
    device.start(HOST_FACTS_FILE=str(facts))

    def told(state: str, of_camera: str) -> Any:
        newest = cloud.telemetry[-1] if cloud.telemetry else None
        return newest if newest and (newest["state"], newest["camera"]["state"]) == (state, of_camera) else None

    first = until(lambda: told("ok", "ok"))
    assert first["host"]["restarts"] == {"camera": 2} and first["host"]["age"] >= 0
    assert first["disk_total_bytes"] > first["disk_free_bytes"] > 0
    camera.trouble = "camera_absent"
    until(lambda: told("degraded", "camera_absent"))
    camera.trouble = None
    until(lambda: told("ok", "ok"))


def test_a_metered_device_says_what_both_services_used(device: Device, cloud: FakeCloud) -> None:
    used = {"seconds": 60.5, "received_bytes": 9000, "sent_bytes": 800}
    with device.redis as connection:
        connection.set(NETWORK, json.dumps(used))
    device.confirm_stream()
    device.start(METERED="1", TELEMETRY_INTERVAL="")
    told = until(lambda: cloud.telemetry)[0]
    assert told["metered"] is True and told["network"]["connector"] == used
    assert told["network"]["uploader"]["seconds"] >= 0 and told["network"]["uploader"]["sent_bytes"] >= 0


def test_what_is_counted_is_told_to_the_cloud_and_to_whoever_reads_the_heartbeat(
    device: Device, cloud: FakeCloud
) -> None:
    device.confirm_stream()
    device.start(TELEMETRY_INTERVAL="5", HTTP_PORT="9100")
    device.admit("t-1")
    told = until(lambda: [one for one in cloud.telemetry if one["counters"].get("pictures_delivered")])[0]
    assert told["counters"]["pictures_captured"] == 1 and told["counters"]["upload_bytes_sent"] > 2000
    facts = until(lambda: found if "pictures_delivered" in (found := heartbeat_counters(device)) else None)
    assert facts.keys() >= told["counters"].keys() and facts["pictures_delivered"] == 1


def heartbeat_counters(device: Device) -> dict[str, float]:
    facts: dict[str, Any] = json.loads((device.folder / "heartbeat").read_text())["facts"]
    return dict(facts.get("counters", {}))


def test_a_spool_that_cannot_be_had_is_said_in_one_line(device: Device) -> None:
    ended = device.run("run", SPOOL_DIR="/proc/nowhere")
    assert ended.returncode == 78
    assert ended.stderr.startswith("[ERROR] SPOOL_DIR=/proc/nowhere cannot be used")
    assert (ended.stdout + ended.stderr).count("\n") == 1
    device.start()
    until(lambda: "uploader ready" in device.log())
    second = device.run("run")
    assert second.returncode == 78 and "in use by another uploader" in second.stderr
