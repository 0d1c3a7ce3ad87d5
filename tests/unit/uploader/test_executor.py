"""What is done with a command of each kind."""

from datetime import UTC, datetime
from typing import get_args

import httpx
import pytest

from visant_contract.stream import CommandEntry, CommandKind, Deadline
from visant_runtime.clock import Clock
from visant_runtime.lifecycle import Stop
from visant_uploader.capture.camera_client import CameraClient
from visant_uploader.capture.camera_slots import CameraSlots
from visant_uploader.capture.executor import Executor


@pytest.mark.parametrize("kind", get_args(CommandKind))
async def test_a_command_takes_a_picture_exactly_where_it_is_a_capture(kind: CommandKind) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={})

    camera = CameraClient("http://camera", transport=httpx.MockTransport(answer))
    entry = CommandEntry(
        cloud_id="c",
        plain=False,
        kind=kind,
        cmd=kind,
        trigger_id="t",
        admitted_wall=datetime.now(UTC),
        admitted_synchronised=True,
        deadline=Deadline(boot_id="b", boottime=0.0),
    )
    executor = Executor(camera, CameraSlots(camera, Clock(), patience=0.2))
    async with executor.perform(entry, Clock().boottime() + 0.2, Stop()):
        pass
    await camera.close()
    assert ("/snapshot" in asked) == (kind == "capture")
