"""kill -9 at every durable step: after the restart the trigger has one outcome, and what was kept is not done again."""

import time
from pathlib import Path

import pytest

from tests.fakes.fake_camera import FakeCamera
from tests.fakes.fake_cloud import FakeCloud, problem
from tests.fakes.fake_http_server import Answer, Request
from tests.support.uploader_process import Device, until

BEFORE_THE_OUTCOME = ("capture.taken", "spool.written", "spool.synced")
AFTER_THE_OUTCOME = ("spool.renamed", "spool.dir_synced", "queue.acked", "spool.released", "deliver.sent")

STARTED_WITHIN = 20.0
"""Seconds from the start of a process to its first command, on a machine with much else to do."""


def killed_at(device: Device, point: str) -> None:
    device.start(VISANT_KILL_POINT=point)
    assert device.ended() == -9, device.log()


def all_is_done(device: Device) -> bool:
    return device.queue_length() == 0 and device.files("unacknowledged", "outbox", "incoming") == []


@pytest.mark.parametrize("point", [*BEFORE_THE_OUTCOME, *AFTER_THE_OUTCOME])
def test_killed_while_a_command_is_executed_it_ends_in_one_picture(
    device: Device, camera: FakeCamera, cloud: FakeCloud, point: str
) -> None:
    device.confirm_stream()
    device.admit("t-1")
    killed_at(device, point)
    device.start()
    until(lambda: cloud.captures() == ["t-1"] and all_is_done(device))
    assert camera.served == (2 if point in BEFORE_THE_OUTCOME else 1)
    assert cloud.outcomes == {}


def test_killed_after_the_file_went_nothing_is_done_again(device: Device, camera: FakeCamera, cloud: FakeCloud) -> None:
    device.confirm_stream()
    device.admit("t-1")
    killed_at(device, "deliver.unlinked")
    device.start()
    device.admit("t-2")
    until(lambda: cloud.captures() == ["t-1", "t-2"] and all_is_done(device))
    assert camera.served == 2


@pytest.mark.parametrize("point", ["spool.dir_synced:2", "dead_letter.reported", "dead_letter.moved"])
def test_killed_while_a_picture_is_refused_it_is_kept_and_reported_once(
    device: Device, camera: FakeCamera, cloud: FakeCloud, point: str
) -> None:
    def refuse(request: Request) -> Answer | None:
        return problem(422) if request.path == "/v1/captures" else None

    cloud.script = refuse
    device.confirm_stream()
    device.admit("t-1")
    killed_at(device, point)
    device.start()
    until(lambda: cloud.reports("t-1") == [("failed", "rejected_422")] and all_is_done(device))
    assert len(device.files("dead-letter")) == 1
    assert camera.served == 1 and cloud.captures() == []


@pytest.mark.parametrize("point", ["quarantine.reported", "quarantine.moved"])
def test_killed_while_a_damaged_file_is_set_aside_it_is_kept_and_reported_once(
    device: Device, camera: FakeCamera, cloud: FakeCloud, point: str
) -> None:
    device.confirm_stream()
    device.admit("t-1")
    killed_at(device, "queue.acked")
    damage(device.files("unacknowledged")[0])
    killed_at(device, point)
    device.start()
    until(lambda: cloud.reports("t-1") == [("failed", "spool_corrupt")] and all_is_done(device))
    assert len(device.files("quarantine")) == 1
    assert camera.served == 1 and cloud.captures() == []


def test_a_disk_that_hangs_holds_up_no_end_and_the_next_start_loses_nothing(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    device.confirm_stream()
    device.start(VISANT_KILL_POINT="spool.written:1:HANG")
    device.admit("t-1")
    until(lambda: camera.served == 1)
    status, _ = device.terminate(60)
    assert status == 1, "it was not finished"
    assert "a thread hangs" in device.log()
    device.start()
    until(lambda: cloud.captures() == ["t-1"] and all_is_done(device))


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("point", [*BEFORE_THE_OUTCOME, *AFTER_THE_OUTCOME, "deliver.unlinked"])
def test_asked_to_end_at_any_step_it_does_within_ten_seconds_and_takes_nothing_twice(
    device: Device, camera: FakeCamera, cloud: FakeCloud, point: str
) -> None:
    device.confirm_stream()
    device.admit("t-1")
    device.start(VISANT_KILL_POINT=f"{point}:1:TERM")
    began = time.monotonic()
    assert device.ended() == 0, device.log()
    assert time.monotonic() - began < 10 + STARTED_WITHIN
    device.start()
    until(lambda: cloud.captures() == ["t-1"] and all_is_done(device))
    assert camera.served == 1 and cloud.outcomes == {}
