"""What goes over HTTP to the camera, and what comes back."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.pictures import bare_jpeg
from visant_contract.outcome import Reason
from visant_contract.snapshot import CAPTURED_BOOTTIME, SnapshotInfo
from visant_uploader.capture.camera_client import CameraClient, CameraTrouble, ConfigRefused
from visant_uploader.capture.config_command import apply_config
from visant_uploader.capture.update_request import UpdateRequests

NO_UPDATER = UpdateRequests(Path("/no/such/folder"), None)
Handler = Callable[[httpx.Request], httpx.Response]

GOOD = bare_jpeg(b"picture")


def headers(at: float = 100.0) -> dict[str, str]:
    return SnapshotInfo(captured_boottime=at, sequence=7, width=640, height=480).headers()


def camera(handler: Handler) -> CameraClient:
    return CameraClient("http://camera", transport=httpx.MockTransport(handler))


async def trouble_of(answer: httpx.Response | Exception) -> CameraTrouble:
    def handler(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(CameraTrouble) as caught:
        await camera(handler).snapshot(1.0, asked_at=100.0)
    return caught.value


async def test_a_snapshot_is_asked_for_with_the_time_that_is_left() -> None:
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, content=GOOD, headers=headers())

    taken = await camera(handler).snapshot(1.5, asked_at=100.0)
    assert taken.jpeg == GOOD and taken.info.sequence == 7
    assert seen == ["http://camera/snapshot?timeout_ms=1500"]


async def test_the_http_client_does_not_cut_a_long_wait_short() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.extensions["timeout"]["read"] is None
        return httpx.Response(200, content=GOOD, headers=headers())

    assert (await camera(handler).snapshot(30.0, asked_at=100.0)).jpeg == GOOD


@pytest.mark.parametrize("trailer", [bytes(512), b"maker's own", GOOD])
async def test_a_jpeg_with_padding_or_a_makers_trailer_is_taken_as_it_is(trailer: bytes) -> None:
    padded = GOOD + trailer
    taken = await camera(lambda _: httpx.Response(200, content=padded, headers=headers())).snapshot(1.0, asked_at=100.0)
    assert taken.jpeg == padded


@pytest.mark.parametrize("reason", ["camera_absent", "camera_stalled", "camera_starting", "bad_frames"])
async def test_the_cameras_reason_is_carried_on(reason: str) -> None:
    body = {"title": "x", "status": 503, "detail": "because", "reason": reason}
    trouble = await trouble_of(httpx.Response(503, json=body))
    assert trouble.reason == reason and trouble.detail == "because"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=GOOD[:-2], headers=headers()),
        httpx.Response(200, content=GOOD[:-2] + bytes(512), headers=headers()),
        httpx.Response(200, content=GOOD[:30] + GOOD, headers=headers()),
        httpx.Response(200, content=GOOD[:30] + GOOD[-2:], headers=headers()),
        httpx.Response(200, content=b"", headers=headers()),
        httpx.Response(200, content=b"<html>", headers=headers()),
        httpx.Response(200, content=GOOD),
        httpx.Response(200, content=GOOD, headers={**headers(), "X-Sequence": "seven"}),
        httpx.Response(200, content=GOOD, headers=headers(at=99.0)),
        httpx.Response(200, content=GOOD, headers=headers(at=1e9)),
        httpx.Response(200, content=GOOD, headers={**headers(), CAPTURED_BOOTTIME: "nan"}),
        httpx.Response(200, content=GOOD, headers={**headers(), CAPTURED_BOOTTIME: "inf"}),
    ],
)
async def test_what_is_no_whole_and_fresh_picture_is_a_bad_frame(answer: httpx.Response) -> None:
    assert (await trouble_of(answer)).reason == Reason.BAD_FRAMES


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(503, content=b"oops"), httpx.Response(404), httpx.ConnectError("refused"), httpx.ReadError("cut")],
)
async def test_a_service_that_is_not_there_is_unreachable(answer: httpx.Response | Exception) -> None:
    assert (await trouble_of(answer)).reason == Reason.CAMERA_UNREACHABLE


async def test_what_became_of_each_setting_is_told() -> None:
    sent = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, json.loads(request.content)))
        became = {"brightness": "applied", "focus": "waiting", "interval": "unknown"}
        return httpx.Response(200, json={"settings": became})

    done = await apply_config(camera(handler), NO_UPDATER, {"brightness": 1, "camera": {"focus": 2}, "interval": 60})
    assert sent == [("PUT", "/controls", {"brightness": 1, "focus": 2, "interval": 60})]
    assert done == "applied: brightness; kept until a camera is open: focus; unknown: interval"


async def test_a_refused_setting_tells_why_and_what_was_applied_beside_it() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json={"settings": {"focus": "refused: focus=999: 0 to 255", "brightness": "applied"}}
        )

    with pytest.raises(ConfigRefused, match="focus=999: 0 to 255; applied: brightness"):
        await apply_config(camera(handler), NO_UPDATER, {"focus": 999, "brightness": 1})


@pytest.mark.parametrize("answer", [{}, {"settings": ["brightness"]}, []])
async def test_an_answer_that_does_not_say_it_is_the_services_trouble(answer: object) -> None:
    with pytest.raises(CameraTrouble):
        await apply_config(camera(lambda _: httpx.Response(200, json=answer)), NO_UPDATER, {"focus": 1})
