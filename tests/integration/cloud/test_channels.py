"""Channels: what arrives at a real peer, what does not, and what is done about it."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.mail_server import FakeMailServer
from tests.support.hard_network import Authority
from visant_cloud.channels import email, outbox, webhook
from visant_cloud.channels.answer import Answer
from visant_cloud.channels.outbox import Outbox
from visant_cloud.store import channels

sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
SECRET = webhook.new_secret()
PAST = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Hook:
    """A peer that keeps what it is sent and answers as it is told."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.hangs = False
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=b"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            fields = dict(one.split(": ", 1) for one in lines[1:] if one)
            body = await reader.readexactly(int(fields["Content-Length"]))
            self.requests.append(({"": lines[0], **fields}, body))
            if self.hangs:
                await reader.read()
            writer.write(self.answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Hook"]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with Hook().serving() as one:
        yield one


async def post(url: str, **more: Any) -> Any:
    return await webhook.send(url, SECRET, "msg_1", 1700000000, b'{"a":1}', **{"allow_private": True, **more})


def verified(fields: dict[str, str], body: bytes, secret: str) -> bool:
    """As a receiver does it, who has read the standard."""
    signed = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return hmac.compare_digest("v1," + wanted, fields["webhook-signature"])


async def test_a_message_arrives_signed_and_as_json(hook: Hook) -> None:
    assert await post(hook.url) == Answer(True, "HTTP 200 ok")
    [(fields, body)] = hook.requests
    assert fields[""] == "POST /hook?a=b HTTP/1.1" and fields["Content-Type"] == "application/json"
    assert fields["Host"] == f"127.0.0.1:{hook.port}"
    assert verified(fields, body, SECRET) and not verified(fields, body + b" ", SECRET)
    assert not verified({**fields, "webhook-timestamp": "1700000001"}, body, SECRET)


@pytest.mark.parametrize(
    ("answer", "taken", "said"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, "HTTP 204"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 OK\r\n\r\n", True, "HTTP 200"),
        (b"HTTP/1.1 500 Oh\r\n\r\na\x00\x1b[31m\nb", False, "HTTP 500 a [31m b"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", False, "redirects are not followed"),
        (b"HTTP/1.1 410 Gone\r\n\r\n" + b"x" * 100_000, False, "HTTP 410 xxx"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", False, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, False, "LimitOverrunError"),
        (b"HTTP/1.1 1", False, "IncompleteReadError"),
        (b"", False, "IncompleteReadError"),
        (b"HTTP/1.1 100 \r\n\r\n" * 9, False, "HTTP 100"),
    ],
)
async def test_only_a_success_is_one_and_no_answer_does_harm(hook: Hook, answer: bytes, taken: bool, said: str) -> None:
    hook.answer = answer
    found = await post(hook.url)
    assert found.taken is taken and said in found.text and len(found.text) <= 300
    assert "\n" not in found.text and len(hook.requests) == 1


async def test_a_peer_that_hangs_is_left_in_time(hook: Hook) -> None:
    hook.hangs = True
    assert (await post(hook.url, timeout=0.2)).text == "no answer within 0.2 s"


async def test_nothing_is_sent_into_the_own_network_whatever_the_name_says(hook: Hook) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1", "2130706433", "[::ffff:127.0.0.1]"):
        found = await post(f"http://{host}:{hook.port}/", allow_private=False)
        assert not found.taken and found.text.startswith("not sent: "), (host, found)
    assert hook.requests == []


async def test_a_name_that_points_elsewhere_a_moment_later_is_asked_once(hook: Hook) -> None:
    asked = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1" if len(asked) == 1 else "127.0.0.1"]  # TEST-NET-1: nobody answers there

    found = await post(f"http://rebind.example:{hook.port}/", resolver=rebinding, timeout=0.3)
    assert not found.taken and asked == ["rebind.example"] and hook.requests == []


async def test_tls_is_checked_against_the_name_although_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(authority.certificate("hook", host="hook.example"))
    trusting = ssl.create_default_context(cafile=str(authority.file))

    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with Hook().serving(ours) as hook:
        url = f"https://hook.example:{hook.port}/"
        assert (await post(url, resolver=resolver, tls=trusting)).taken
        wrong = await post(f"https://other.example:{hook.port}/", resolver=resolver, tls=trusting)
        assert not wrong.taken and "certificate" in wrong.text.lower()
        assert not (await post(url, resolver=resolver)).taken, "nobody trusts this authority"
        assert len(hook.requests) == 1


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("mail"))


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_mail_goes_through_tls_with_a_password(authority: Authority, implicit: bool) -> None:
    pem = str(authority.certificate(f"mail{implicit:d}"))
    trusting = ssl.create_default_context(cafile=str(authority.file))
    # aiosmtpd asks for none over smtps
    login: dict[str, Any] = {} if implicit else {"user": "visant", "password": "p@ss"}
    with FakeMailServer(pem, implicit=implicit, **login) as peer:
        scheme = "smtps://" if implicit else "smtp://visant:{}@"
        mail = email.message("v@example.org", ["a@example.org"], "Alert: ü", "text", "1.2", PAST)
        for password, taken in (("p%40ss", True), *([] if implicit else [("wrong", False)])):
            where = email.server(f"{scheme.format(password)}127.0.0.1:{peer.port}")
            found = await email.send(where, mail, "v@example.org", ["a@example.org"], tls=trusting)
            assert found.taken is taken, found
        unknown = await email.send(where, mail, "v@example.org", ["a@example.org"], timeout=2)
        assert not unknown.taken, "nobody knows this authority"
        [(sender, to, got)] = peer.mails
        assert (sender, to, got["Subject"]) == ("v@example.org", ["a@example.org"], "Alert: ü")


async def test_no_mail_and_no_password_goes_to_a_server_without_tls_that_should_have_it() -> None:
    with FakeMailServer() as peer:
        mail = email.message("v@example.org", ["a@example.org"], "Alert", "text", "1.2", PAST)
        where = email.server(f"smtp://127.0.0.1:{peer.port}")
        found = await email.send(where, mail, "v@example.org", ["a@example.org"])
        assert not found.taken and peer.mails == []


async def test_a_recipient_that_is_refused_is_named_and_the_others_get_it() -> None:
    with FakeMailServer(refuse=("b@example.org",)) as peer:
        to = ["a@example.org", "b@example.org"]
        mail = email.message("v@example.org", to, "Alert", "text", "1.2", PAST)
        where = email.server(f"smtp://127.0.0.1:{peer.port}?tls=none")
        found = await email.send(where, mail, "v@example.org", to)
        assert found.taken and "b@example.org was refused" in found.text and peer.mails[0][1] == ["a@example.org"]
        alone = await email.send(where, mail, "v@example.org", to[1:])
        assert not alone.taken and "no such mailbox" in alone.text
    gone = await email.send(where, mail, "v@example.org", to)
    assert not gone.taken


async def made(cloud: Any, **body: Any) -> dict[str, Any]:
    answer = await cloud.client.post("/v1/channels", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def log_of(cloud: Any, channel: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await cloud.client.get(f"/v1/channels/{channel['channel_id']}/deliveries")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["deliveries"])


async def test_a_message_is_tried_again_until_it_is_taken_and_may_be_sent_once_more(start: Any, hook: Hook) -> None:
    cloud = await start(alert_allow_private=True)
    sender = Outbox(cloud.cloud)
    channel = await made(cloud, type="webhook", name="ops", target=hook.url)
    hook.answer = b"HTTP/1.1 503 Busy\r\n\r\n"
    answer = await cloud.client.post(f"/v1/channels/{channel['channel_id']}/test")
    assert answer.status_code == 202 and answer.json()["status"] == "waiting"
    for attempt in range(1, 4):
        assert await sender.send_due() == 1 and await sender.send_due() == 0
        [one] = await log_of(cloud, channel)
        assert (one["status"], one["attempts"], one["answer"]) == ("waiting", attempt, "HTTP 503")
        cloud.time.pass_(outbox.WAITS[attempt - 1] * 1.11)
    hook.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    await sender.send_due()
    [one] = await log_of(cloud, channel)
    assert (one["status"], one["attempts"], one["title"]) == ("delivered", 4, "Test: ops")
    answer = await cloud.client.post(f"/v1/channels/{channel['channel_id']}/deliveries/{one['delivery_id']}/replay")
    assert answer.status_code == 202
    assert await sender.send_due() == 1
    assert len({fields["webhook-id"] for fields, _ in hook.requests}) == 1, "whoever has seen it knows it again"
    for fields, body in hook.requests:
        assert verified(fields, body, channel["secret"])
        said = json.loads(body)
        assert said["type"] == "alert.test" and said["data"]["title"] == "Test: ops" and said["timestamp"]


async def test_a_message_that_nobody_takes_is_given_up_and_its_channel_is_dead(start: Any, hook: Hook) -> None:
    cloud = await start(alert_allow_private=True)
    hook.answer = b"HTTP/1.1 500 No\r\n\r\n"
    channel = await made(cloud, type="webhook", name="ops", target=hook.url)
    await cloud.client.post(f"/v1/channels/{channel['channel_id']}/test")
    for wait in (*outbox.WAITS, 1.0):
        assert await Outbox(cloud.cloud).send_due() == 1
        cloud.time.pass_(wait * 1.11)
    assert await Outbox(cloud.cloud).send_due() == 0
    [one] = await log_of(cloud, channel)
    assert (one["status"], one["attempts"]) == ("given_up", 8)
    assert (await cloud.client.get(f"/v1/channels/{channel['channel_id']}")).json()["state"] == "dead"
    assert [one.channel_id for one in await channels.dead(cloud.cloud.database)] == [channel["channel_id"]]
    answer = await cloud.client.patch(f"/v1/channels/{channel['channel_id']}", json={"target": hook.url + "&c"})
    assert answer.json()["failures"] == 0


async def test_several_processes_send_each_message_once(start: Any, hook: Hook) -> None:
    cloud = await start(alert_allow_private=True)
    channel = await made(cloud, type="webhook", name="ops", target=hook.url)
    for _ in range(12):
        await cloud.client.post(f"/v1/channels/{channel['channel_id']}/test")
    counts = await asyncio.gather(*(Outbox(cloud.cloud).send_due() for _ in range(3)))
    assert sum(counts) == 12 == len({fields["webhook-id"] for fields, _ in hook.requests}) == len(hook.requests)


@sqlite
async def test_a_clock_that_was_ahead_leaves_no_message_waiting_for_it(start: Any, hook: Hook) -> None:
    cloud = await start(alert_allow_private=True)
    channel = await made(cloud, type="webhook", name="ops", target=hook.url)
    cloud.time.pass_(86400)
    await cloud.client.post(f"/v1/channels/{channel['channel_id']}/test")
    cloud.time.pass_(-86400)
    assert await Outbox(cloud.cloud).send_due() == 1


@sqlite
async def test_a_mail_of_an_alert_arrives_with_text_and_link(start: Any) -> None:
    with FakeMailServer() as peer:
        cloud = await start(
            smtp_url=f"smtp://127.0.0.1:{peer.port}?tls=none",
            mail_from="visant@example.org",
            public_url="https://cams.example",
        )
        channel = await made(cloud, type="email", name="on duty", target="a@example.org , b@example.org")
        assert channel["secret"] is None and channel["target"] == "a@example.org, b@example.org"
        await cloud.client.post(f"/v1/channels/{channel['channel_id']}/test")
        await Outbox(cloud.cloud).send_due()
        [(_, to, mail)] = peer.mails
        assert to == ["a@example.org", "b@example.org"] and mail["Subject"] == "Test: on duty"
        assert "https://cams.example/" in mail.get_content()


@sqlite
async def test_bad_channels_are_one_clear_line(start: Any) -> None:
    cloud = await start()
    for body, status, said in (
        ({"type": "webhook", "name": "x", "target": "ftp://a.example"}, 422, "target: it must begin with https://"),
        ({"type": "webhook", "name": "x", "target": "https://u:p@a.example"}, 422, "user and password"),
        ({"type": "email", "name": "x", "target": "nobody"}, 422, "no address"),
        ({"type": "email", "name": "x", "target": "a@example.org"}, 409, "SMTP_URL"),
        ({"type": "pigeon", "name": "x", "target": "a"}, 422, "type"),
        ({"type": "webhook", "name": "a\r\nb", "target": "https://a.example"}, 422, "name"),
        ({"type": "webhook", "name": "x", "target": "https://a.example", "kinds": ["cold"]}, 422, "no kind of alert"),
    ):
        answer = await cloud.client.post("/v1/channels", json=body)
        assert answer.status_code == status and said in answer.json()["detail"], answer.text
    first = await made(cloud, type="webhook", name="x", target="https://a.example", kinds=["silent"])
    answer = await cloud.client.post(
        "/v1/channels", json={"type": "webhook", "name": "x", "target": "https://b.example"}
    )
    assert (answer.status_code, answer.json()["reason"]) == (409, "exists")
    shown = (await cloud.client.get("/v1/channels")).json()["channels"]
    assert [one["kinds"] for one in shown] == [["silent"]] and first["secret"] not in json.dumps(shown)
    renewed = await cloud.client.post(f"/v1/channels/{first['channel_id']}/secret")
    assert renewed.json()["secret"] not in (first["secret"], None)
    assert (await cloud.client.delete(f"/v1/channels/{first['channel_id']}")).status_code == 204
    assert (await cloud.client.get(f"/v1/channels/{first['channel_id']}")).status_code == 404
    assert (await cloud.client.get(f"/v1/channels/{10**30}")).status_code == 422
