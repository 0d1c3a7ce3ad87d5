"""When a request is sent again, and what is said of answers that are none of a cloud's."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from visant_cli import download, watch
from visant_cli.cloud import ATTEMPTS, Cloud, path
from visant_cli.commands import tail
from visant_cli.failure import CloudRefused, ExitStatus, Failure
from visant_cli.session import Session

BUSY = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "Many devices connect", "reason": "busy"}
Answer = httpx.Response | Exception


class Peer(httpx.BaseTransport):
    """A fake of a cloud and of the way to it: gives these answers in turn, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def problem(status: int, **more: Any) -> httpx.Response:
    return httpx.Response(status, json={**BUSY, "status": status, **more})


def cloud(peer: Peer, *, notes: Callable[[str], None] = lambda line: None, waits: list[float] | None = None) -> Cloud:
    slept = [] if waits is None else waits
    return Cloud("https://cloud.example", "t0ken", transport=peer, note=notes, sleep=slept.append)


OK = httpx.Response(200, json={"fine": True})
LOST = httpx.ReadTimeout("timed out")
NEVER_SENT = httpx.ConnectError("refused")
GATEWAY = httpx.Response(502, html="<h1>Bad gateway</h1>")


@pytest.mark.parametrize("trouble", [LOST, NEVER_SENT, GATEWAY, problem(503), problem(429)])
@pytest.mark.parametrize(("method", "key"), [("GET", None), ("PUT", None), ("DELETE", None), ("POST", "k1")])
def test_what_may_be_repeated_is_sent_again(trouble: Answer, method: str, key: str | None) -> None:
    peer = Peer(trouble, OK)
    assert cloud(peer).ask(method, "/v1/x", key=key)[0] == {"fine": True}
    assert len(peer.asked) == 2
    assert {request.headers.get("Idempotency-Key") for request in peer.asked} == {key}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_change_without_a_key_is_sent_again_only_where_it_was_surely_not_done(method: str) -> None:
    for trouble, times in (
        (LOST, 1),
        (GATEWAY, 1),
        (httpx.Response(503, html="proxy"), 1),
        (NEVER_SENT, 2),
        (problem(503), 2),
    ):
        peer = Peer(trouble, OK)
        if times == 1:
            with pytest.raises(Failure):
                cloud(peer).ask(method, "/v1/x")
        else:
            cloud(peer).ask(method, "/v1/x")
        assert len(peer.asked) == times, trouble


def test_a_delete_whose_answer_was_lost_is_done_where_there_is_nothing_any_more() -> None:
    peer = Peer(LOST, problem(404))
    assert cloud(peer).ask("DELETE", "/v1/x") == (None, None)
    with pytest.raises(CloudRefused):
        cloud(Peer(problem(404))).ask("DELETE", "/v1/x")


def test_attempts_end_and_retry_after_is_obeyed_within_the_patience() -> None:
    waits: list[float] = []
    notes: list[str] = []
    busy = httpx.Response(503, json=BUSY, headers={"Retry-After": "2"})
    with pytest.raises(CloudRefused) as ended:
        cloud(Peer(busy), waits=waits, notes=notes.append).get("/v1/x")
    assert ended.value.status is ExitStatus.CLOUD_AWAY
    assert waits == [2.0] * (ATTEMPTS - 1)
    assert notes[0] == "Many devices connect; again in 2 s"
    patient = Peer(httpx.Response(503, json=BUSY, headers={"Retry-After": "3600"}))
    with pytest.raises(CloudRefused):
        cloud(patient).get("/v1/x")
    assert len(patient.asked) == 1


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (httpx.Response(200, html="<h1>Sign in to the hotel's WiFi</h1>"), ExitStatus.CLOUD_AWAY, "sign-in page"),
        (httpx.Response(404, text="nginx"), ExitStatus.CLOUD_AWAY, "no word of a Visant cloud"),
        (httpx.Response(500, json={"detail": ["odd"]}), ExitStatus.CLOUD_AWAY, "no word of a Visant cloud"),
        (
            httpx.Response(307, headers={"Location": "https://other.example/v1/x"}),
            ExitStatus.CLOUD_AWAY,
            "https://other.example",
        ),
        (problem(401, detail="Sign in"), ExitStatus.NOT_ALLOWED, "visant login"),
        (problem(422, detail="limit: too large"), ExitStatus.USAGE, "limit: too large"),
        (problem(412), ExitStatus.CONFLICT, "Many devices"),
        (problem(500, detail="The cloud has a fault"), ExitStatus.CLOUD_AWAY, "The cloud has a fault"),
    ],
)
def test_every_answer_has_its_line_and_its_status(answer: httpx.Response, status: ExitStatus, words: str) -> None:
    with pytest.raises(Failure) as ended:
        cloud(Peer(answer)).ask("POST", "/v1/x")
    assert ended.value.status is status
    assert words in ended.value.line
    assert "t0ken" not in ended.value.line


def test_a_redirect_gets_no_token() -> None:
    peer = Peer(httpx.Response(301, headers={"Location": "https://evil.example/"}), OK)
    with pytest.raises(Failure):
        cloud(peer).get("/v1/x")
    assert [request.url.host for request in peer.asked] == ["cloud.example"]


def test_pages_go_on_with_whichever_cursor_there_is_and_stop_at_the_limit() -> None:
    def page(*items: int, **following: Any) -> httpx.Response:
        return httpx.Response(200, json={"rows": [{"n": item} for item in items], **following})

    peer = Peer(page(1, 2, next_before=2), page(3, next_cursor="c"), page(4, next_before=None))
    assert [row["n"] for row in cloud(peer).pages("/v1/x", "rows", limit=2)] == [1, 2, 3, 4]
    assert [dict(request.url.params) for request in peer.asked][1:] == [
        {"limit": "2", "before": "2"},
        {"limit": "2", "before": "2", "cursor": "c"},
    ]
    few = Peer(page(1, 2, next_before=2))
    assert [row["n"] for row in cloud(few).pages("/v1/x", "rows", most=2)] == [1, 2]
    assert len(few.asked) == 1


def test_a_path_holds_whatever_an_id_holds() -> None:
    assert path("triggers", "A B", "x/y?z#ü") == "/v1/triggers/A%20B/x/y%3Fz%23%C3%BC"
    assert path("devices", "../../etc", "token") == "/v1/devices/..%2F..%2Fetc/token"


RECORD = {
    "record_id": "r1",
    "device_id": "CAM1",
    "captured_at": "2026-11-30T14:05:01.250000Z",
    "bytes": 4,
    "sha256": "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a",
}
WHOLE = httpx.Response(200, content=b"\x01\x02\x03\x04")


def test_a_picture_lies_where_device_and_day_say(tmp_path: Path) -> None:
    file = download.place(tmp_path, RECORD)
    assert file.relative_to(tmp_path).as_posix() == "CAM1/2026-11-30/CAM1_20261130T140501.250Z_r1.jpg"
    outside = download.place(tmp_path, {**RECORD, "device_id": "../../x", "record_id": "/etc/passwd"})
    assert tmp_path in outside.resolve().parents
    assert download.fetch(cloud(Peer(WHOLE)), RECORD, file).new
    assert file.read_bytes() == WHOLE.content


@pytest.mark.parametrize("content", [b"\x01\x02\x03", b"\x01\x02\x03\x05", b"", b"\x00" * 200_000])
def test_a_picture_that_is_not_as_its_record_says_is_not_kept(tmp_path: Path, content: bytes) -> None:
    file = download.place(tmp_path, RECORD)
    with pytest.raises(download.NotWhole, match="not what its record says"):
        download.fetch(cloud(Peer(httpx.Response(200, content=content))), RECORD, file)
    assert list(file.parent.iterdir()) == []


def test_a_picture_that_is_cut_on_the_way_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    peer = Peer(httpx.ReadError("cut"), problem(503), WHOLE)
    assert download.fetch(cloud(peer), RECORD, download.place(tmp_path, RECORD)).new
    assert len(peer.asked) == 3
    with pytest.raises(download.NotWhole):
        download.fetch(cloud(Peer(problem(404, detail="gone"))), {**RECORD, "record_id": "r2"}, tmp_path / "x.jpg")


def test_a_wait_outlives_a_cloud_that_is_away_for_a_while() -> None:
    row = {"status": "executed"}
    peer = Peer(*[NEVER_SENT] * (ATTEMPTS + 1), httpx.Response(200, json=row))
    one = watch.Watched("CAM1", "t1")
    watch.until_ended(cloud(peer), [one], seconds=None, told=lambda told: None, sleep=lambda seconds: None)
    assert one.row == row
    gone = watch.Watched("CAM1", "t2")
    with pytest.raises(CloudRefused):
        watch.until_ended(cloud(Peer(problem(404))), [gone], seconds=None, told=lambda told: None)


def test_a_tail_goes_on_from_where_it_was_after_the_way_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def stream(*messages: tuple[int, str]) -> httpx.Response:
        body = "".join(f'id: {number}\ndata: {{"type":"{name}"}}\n\n' for number, name in messages)
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=body)

    peer = Peer(
        stream((5, "connected"), (6, "alert.opened")), LOST, problem(503), stream((7, "ping"), (8, "alert.cleared"))
    )
    session = Session(url="https://cloud.example")
    session.__dict__["cloud"] = cloud(peer)
    following = tail._events(session, {"types": "alert.*", "group": None})
    assert [next(following)["type"] for _ in range(4)] == ["connected", "alert.opened", "ping", "alert.cleared"]
    assert [request.headers.get("Last-Event-ID") for request in peer.asked] == [None, "6", "6", "6"]
    assert {str(request.url.params) for request in peer.asked} == {"types=alert.%2A"}
    refused = Session(url="https://cloud.example")
    refused.__dict__["cloud"] = cloud(Peer(problem(403, detail="not you")))
    with pytest.raises(CloudRefused, match="not you"):
        next(tail._events(refused, {}))
