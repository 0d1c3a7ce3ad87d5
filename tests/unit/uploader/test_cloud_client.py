"""What goes over HTTP to the cloud, and what comes back."""

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.not_none import not_none
from tests.unit.uploader.conftest import Make
from visant_contract.capture import CAPTURE_HEADER
from visant_contract.errors import Problem, Retryable
from visant_runtime.clock import Clock
from visant_runtime.settings import SettingsError
from visant_uploader.counters import Counters
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.delivery.retry_policy import Refused, Speaker
from visant_uploader.delivery.upload_body import PIECE, UploadBody, WholeBody
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool.file_format import decode, encode

Handler = Callable[[httpx.Request], httpx.Response]

GOOD = b"\xff\xd8 picture \xff\xd9"


def cloud(handler: Handler, **more: Any) -> CloudClient:
    told = UploaderSettings(
        device_id="FLOOR1",
        api_url=more.pop("api_url", "http://cloud/base"),
        device_token="token",
        upload_timeout=more.pop("timeout", 5.0),
    )
    return CloudClient(
        told,
        Clock(),
        counters=more.pop("counters", Counters()),
        device_version="2.0.0",
        transport=httpx.MockTransport(handler),
    )


async def send(make: type[Make], handler: Handler, trigger_id: str = "t-1", body: bytes = GOOD, **more: Any) -> str:
    raw = more.pop("raw", False)
    outcome = decode(b"".join(encode(make.picture(trigger_id), body)[1]))
    return await cloud(handler, **more).send_picture(outcome, make.noon, make.time(), raw=raw)


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
        (httpx.Response(302, headers={"location": "http://portal/"}), Refused),
        (httpx.Response(413), Refused),
        (httpx.Response(500), Refused),
        (httpx.ConnectError("refused"), Retryable),
        (httpx.ReadTimeout("slow"), Retryable),
        (httpx.RemoteProtocolError("cut"), Retryable),
    ],
)
async def test_everything_but_a_receipt_is_a_verdict(
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
    said = not_none(report.report)
    with pytest.raises(Retryable, match="no receipt"):
        await cloud(lambda _: httpx.Response(200, content=answer)).send_report(report, said)
    await cloud(lambda _: httpx.Response(200, json={"status": "failed", "more": 1})).send_report(report, said)


@pytest.mark.parametrize("location", ["http:portal", "mailto:me", "http://xn--/", "http://[", "//x:port", "\x00"])
async def test_a_redirect_to_no_address_is_a_verdict(make: type[Make], location: str) -> None:
    with pytest.raises((Retryable, Refused)):
        await send(make, lambda _: httpx.Response(302, headers={"location": location}))


@pytest.mark.parametrize("url", ["https://☃.example", "https://1.2.3.999"])
def test_an_address_that_only_the_http_client_refuses_is_named_as_such(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^API_URL="):
        cloud(lambda _: httpx.Response(200), api_url=url)


@pytest.mark.parametrize("trigger_id", ["ä/ö", "a\nb", " x ", "x" * 512])
async def test_any_trigger_id_fits_into_header_and_path(make: type[Make], trigger_id: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"record_id": "r", "status": "failed"})

    await send(make, handler, trigger_id)
    report = make.report(trigger_id)
    await cloud(handler).send_report(report, not_none(report.report))
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
        await cloud(handler).send_report(report, not_none(report.report))
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


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ["refuses DEVICE_TOKEN (The token is not known)", "enrol-code --device-id FLOOR1 --replace"]),
        (403, ["(The token is not known)", "activate FLOOR1"]),
        (404, ["create FLOOR1 there, or check DEVICE_ID and API_URL"]),
        (422, ["HTTP 422", "The token is not known"]),
    ],
)
async def test_a_cloud_that_does_not_want_this_device_is_named_with_the_remedy(
    make: type[Make], status: int, words: list[str]
) -> None:
    problem = Problem(title="No", status=status, detail="The token is not known").model_dump(exclude_none=True)
    with pytest.raises(Refused) as caught:
        await send(make, lambda _: httpx.Response(status, json=problem))
    assert (caught.value.status, caught.value.speaker) == (status, Speaker.CLOUD)
    for word in words:
        assert word in caught.value.detail


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (413, ["(<html>no</html>)", "client_max_body_size", "CAMERA_RESOLUTION"]),
        (403, ["403: something on the way to the cloud refuses, not the cloud itself", "a firewall"]),
        (404, ["not the cloud itself", "API_URL"]),
    ],
)
async def test_a_page_of_somebody_in_between_is_named_as_such(make: type[Make], status: int, words: list[str]) -> None:
    with pytest.raises(Refused) as caught:
        await send(make, lambda _: httpx.Response(status, content=b"<html>no</html>"))
    assert caught.value.speaker is Speaker.NETWORK
    for word in words:
        assert word in caught.value.detail
    assert "create FLOOR1" not in caught.value.detail


async def test_a_raw_picture_is_the_jpeg_itself_with_all_else_in_one_header(make: type[Make]) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"record_id": "r-1"})

    picture = GOOD + os.urandom(PIECE * 2 + 1)
    for raw in (True, False):
        assert await send(make, handler, "ä", picture, raw=raw) == "r-1"
    raw_one, json_one = seen
    assert raw_one.content == picture and raw_one.headers["content-length"] == str(len(picture))
    assert raw_one.headers["content-type"] == "image/jpeg" and json_one.headers["content-type"] == "application/json"
    told = raw_one.headers[CAPTURE_HEADER]
    assert told.isascii() and "\n" not in told
    fields = json.loads(json_one.content)
    del fields["image_base64"]
    assert json.loads(told) == fields and fields["trigger_id"] == "ä"
    assert raw_one.headers["idempotency-key"] == json_one.headers["idempotency-key"]
    assert raw_one.url == json_one.url


async def test_what_does_not_fit_into_the_header_goes_as_json(make: type[Make]) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"record_id": "r-1"})

    await send(make, handler, "🙂" * 500, raw=True)  # twelve characters each in ASCII
    assert seen[0].headers["content-type"] == "application/json" and CAPTURE_HEADER not in seen[0].headers


@settings(deadline=None)
@given(content=st.binary(max_size=3 * PIECE))
def test_a_whole_body_in_pieces_is_the_body(content: bytes) -> None:
    body = WholeBody(content)
    assert b"".join(body) == content and len(body) == len(content)
    assert all(0 < len(piece) <= PIECE for piece in body)
