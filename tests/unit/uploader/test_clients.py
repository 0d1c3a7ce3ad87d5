"""What goes over HTTP to camera and cloud, and what comes back."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.uploader.conftest import Make
from visant_contract.errors import Misconfigured, Rejected, Retryable
from visant_contract.outcome import Reason
from visant_contract.snapshot import CAPTURED_BOOTTIME, SnapshotInfo
from visant_runtime.settings import SettingsError
from visant_uploader.capture.camera_client import CameraClient, CameraTrouble, ConfigRefused
from visant_uploader.capture.config_command import apply_config, control_names
from visant_uploader.capture.debug_frames import KEPT, DebugFrames
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.upload_body import PIECE, UploadBody
from visant_uploader.spool.file_format import decode, encode

GOOD = b"\xff\xd8 picture \xff\xd9"


Handler = Callable[[httpx.Request], httpx.Response]


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


async def test_a_jpeg_that_the_webcam_padded_with_zeros_is_taken_as_it_is() -> None:
    padded = GOOD + bytes(512)
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


async def test_only_the_settings_that_the_camera_has_are_sent_to_it() -> None:
    sent = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            sent.append(json.loads(request.content))
        return httpx.Response(200, json={"controls": [{"name": "brightness"}, {"name": "focus"}], "kept": True})

    done = await apply_config(camera(handler), {"brightness": 1, "camera": {"focus": 2}, "interval": 60})
    assert sent == [{"brightness": 1, "focus": 2}]
    assert "interval" in done
    await apply_config(camera(handler), {"interval": 60})
    assert len(sent) == 1


async def test_a_refused_setting_tells_why() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"controls": [{"name": "focus"}]})
        return httpx.Response(422, json={"title": "x", "status": 422, "detail": "focus: 0 to 255"})

    with pytest.raises(ConfigRefused, match="0 to 255"):
        await apply_config(camera(handler), {"focus": 999})


def test_control_names_are_read_from_a_list_or_an_object() -> None:
    assert control_names({"controls": [{"name": "a"}, {"no": 1}, "x"]}) == {"a"}
    assert control_names({"controls": {"a": 1, "b": 2}}) == {"a", "b"}


def cloud(handler: Handler, **more: Any) -> CloudClient:
    counters = more.pop("counters", Counters())
    return CloudClient(
        "http://cloud/base",
        "FLOOR1",
        "token",
        timeout=more.pop("timeout", 5.0),
        counters=counters,
        device_version="2.0.0",
        transport=httpx.MockTransport(handler),
    )


async def send(make: type[Make], handler: Handler, trigger_id: str = "t-1", body: bytes = GOOD, **more: Any) -> str:
    outcome = decode(b"".join(encode(make.picture(trigger_id), body)[1]))
    return await cloud(handler, **more).send_picture(outcome, make.noon, make.time())


async def test_a_picture_is_sent_as_the_wire_says(make: type[Make]) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"record_id": "r-1", "captured_at": "not even a time", "state": 5})

    picture = GOOD + os.urandom(PIECE * 2 + 1)
    counters = Counters()
    assert await send(make, handler, body=picture, counters=counters) == "r-1"
    request = seen[0]
    fields = json.loads(request.content)
    assert str(request.url) == "http://cloud/base/v1/captures"
    assert base64.b64decode(fields["image_base64"], validate=True) == picture
    assert request.headers["content-length"] == str(len(request.content))
    assert "transfer-encoding" not in request.headers
    assert request.headers["idempotency-key"] == "t-1" and request.headers["authorization"] == "Bearer token"
    assert fields["captured_at"] == "2026-11-22T12:00:00+00:00" and fields["trigger_label"] == "manual_t-1"
    assert counters.sums()["upload_bytes_sent"] == len(request.content)


@pytest.mark.parametrize("record_id", ["r-1", 17])
async def test_any_record_id_is_a_receipt(make: type[Make], record_id: str | int) -> None:
    assert await send(make, lambda _: httpx.Response(200, json={"record_id": record_id})) == str(record_id)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(201, content=b"<html>"), Retryable),
        (httpx.Response(200, json={"ok": True}), Retryable),
        (httpx.Response(204), Retryable),
        (httpx.Response(302, headers={"location": "http://portal/"}), Misconfigured),
        (httpx.Response(413), Rejected),
        (httpx.Response(500), Retryable),
        (httpx.ConnectError("refused"), Retryable),
        (httpx.ReadTimeout("slow"), Retryable),
        (httpx.RemoteProtocolError("cut"), Retryable),
    ],
)
async def test_everything_but_a_receipt_is_one_of_the_three_verdicts(
    make: type[Make], answer: httpx.Response | Exception, kind: type[Exception]
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(kind):
        await send(make, handler)


@pytest.mark.parametrize(
    "answer",
    [b"", b"OK", b"{}", b"[]", b'{"status": 200}', b'{"ok": true}', b"\xef\xbb\xbf<html>", b"<html>", b'"failed"'],
)
async def test_a_captive_portals_yes_is_no_receipt_of_a_report(make: type[Make], answer: bytes) -> None:
    report = make.report()
    with pytest.raises(Retryable, match="no receipt"):
        await cloud(lambda _: httpx.Response(200, content=answer)).send_report(report, report.report)
    await cloud(lambda _: httpx.Response(200, json={"status": "failed", "more": 1})).send_report(report, report.report)


@pytest.mark.parametrize("location", ["http:portal", "mailto:me", "http://xn--/", "http://[", "//x:port", "\x00"])
async def test_a_redirect_to_no_address_is_one_of_the_three_verdicts(make: type[Make], location: str) -> None:
    with pytest.raises((Retryable, Misconfigured)):
        await send(make, lambda _: httpx.Response(302, headers={"location": location}))


@pytest.mark.parametrize("url", ["https://☃.example", "https://1.2.3.999"])
def test_an_address_that_only_the_http_client_refuses_is_named_as_such(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^API_URL="):
        CloudClient(url, "FLOOR1", None, timeout=5.0, counters=Counters(), device_version="2.0.0")


@pytest.mark.parametrize("trigger_id", ["ä/ö", "a\nb", " x ", "x" * 512])
async def test_any_trigger_id_fits_into_header_and_path(make: type[Make], trigger_id: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"record_id": "r", "status": "failed"})

    await send(make, handler, trigger_id)
    report = make.report(trigger_id)
    await cloud(handler).send_report(report, report.report)
    assert seen[1].url.raw_path.count(b"/") == b"/base/v1/devices/FLOOR1/triggers/x/outcome".count(b"/")
    assert seen[1].url.path.endswith("/outcome")


async def test_outcomes_name_the_cloud_that_they_are_meant_for_and_a_plain_one_is_not_bothered(
    make: type[Make],
) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "failed"})

    for plain in (False, True):
        report = make.report(plain=plain)
        await cloud(handler).send_report(report, report.report)
    assert seen[0].headers["x-visant-cloud"] == report.cloud_id
    assert "x-visant-cloud" not in seen[1].headers


@settings(deadline=None)
@given(size=st.integers(0, 3 * PIECE), fields=st.dictionaries(st.text(), st.text(), min_size=1))
def test_a_body_made_in_pieces_is_the_body_made_at_once(size: int, fields: dict[str, str]) -> None:
    fields.pop("image_base64", None)
    fields["device_id"] = "x"
    picture = bytes(range(256)) * (size // 256 + 1)
    body = UploadBody(fields, memoryview(picture)[:size])
    whole = b"".join(body)
    assert len(body) == len(whole)
    assert json.loads(whole) == {**fields, "image_base64": base64.b64encode(picture[:size]).decode()}


def test_the_newest_hundred_debug_copies_are_kept_whatever_the_clock_does(make: type[Make], tmp_path: Path) -> None:
    from datetime import timedelta

    frames = DebugFrames(tmp_path / "frames")
    for number in range(KEPT + 20):
        back = timedelta(days=number)  # each picture seems to be older than the one before
        frames.save(b"%d" % number, make.noon - back, f"t/{number}")
    kept = {path.read_bytes() for path in (tmp_path / "frames").glob("*.jpg")}
    assert kept == {b"%d" % number for number in range(20, KEPT + 20)}
    DebugFrames(None).save(b"x", make.noon, "t")
