"""What is done with a command of each kind."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import httpx
import pytest

from visant_contract.outcome import Reason
from visant_contract.stream import CommandEntry, CommandKind, Deadline
from visant_runtime.clock import Clock
from visant_runtime.lifecycle import Stop
from visant_uploader.capture.camera_client import CameraClient
from visant_uploader.capture.camera_slots import CameraSlots
from visant_uploader.capture.executor import ExecutionResult, Executor
from visant_uploader.capture.update_request import UpdateRequests


@pytest.fixture
def asked() -> list[str]:
    """The paths that the camera was asked for."""
    return []


@pytest.fixture
async def executor(asked: list[str], tmp_path: Path) -> AsyncIterator[Executor]:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={})

    camera = CameraClient("http://camera", transport=httpx.MockTransport(answer))
    yield Executor(camera, CameraSlots(camera, Clock(), patience=0.2), UpdateRequests(tmp_path, None), Clock())
    await camera.close()


def entry(kind: CommandKind, broken: str | None = None) -> CommandEntry:
    return CommandEntry(
        cloud_id="c",
        plain=False,
        kind=kind,
        cmd=kind,
        trigger_id="t",
        admitted_wall=datetime.now(UTC),
        admitted_synchronised=True,
        deadline=Deadline(boot_id="b", boottime=0.0),
        broken=broken,
    )


@pytest.mark.parametrize("kind", get_args(CommandKind))
async def test_a_command_takes_a_picture_exactly_where_it_is_a_capture(
    executor: Executor, asked: list[str], kind: CommandKind
) -> None:
    async with executor.perform(entry(kind), Clock().boottime() + 0.2, Stop()):
        pass
    assert ("/snapshot" in asked) == (kind == "capture")


@pytest.mark.parametrize("kind", get_args(CommandKind))
async def test_a_broken_command_asks_the_camera_for_nothing(
    executor: Executor, asked: list[str], kind: CommandKind
) -> None:
    async with executor.perform(entry(kind, "cmd: missing"), Clock().boottime() + 0.2, Stop()) as result:
        assert result == ExecutionResult("failed", Reason.BROKEN_COMMAND, "cmd: missing")
    assert asked == []


async def test_a_kind_that_nobody_wrote_down_is_an_error_and_no_picture(executor: Executor, asked: list[str]) -> None:
    forgotten = entry("capture").model_copy(update={"kind": "zoom"})
    with pytest.raises(AssertionError, match="zoom"):
        async with executor.perform(forgotten, Clock().boottime() + 0.2, Stop()):
            pass
    assert asked == []
