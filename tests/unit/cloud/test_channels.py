"""Channels: the signature, the addresses that may be sent to, and what a mail can be made of."""

import base64
import hashlib
import hmac
import ipaddress
import re
import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visant_cloud.channels import email, outbox, webhook
from visant_cloud.channels.address import Forbidden, addresses, why_forbidden
from visant_cloud.channels.email import Server

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_the_signature_is_the_one_of_the_standard() -> None:
    # the example of standard-webhooks' own libraries (secret, id, timestamp, payload)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = webhook.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_receiver_of_the_guide_believes_what_is_genuine_and_nothing_else() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs/operate/alerts.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    secret, now, body = webhook.new_secret(), int(time.time()), b'{"type": "alert.test"}'
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = webhook.sign(secret, "msg_1", now, body)
    genuine = names["genuine"]
    assert genuine(headers, body, secret)
    assert not genuine(headers, body + b" ", secret) and not genuine(headers, body, webhook.new_secret())
    old = {**headers, "webhook-timestamp": str(now - 400)}
    assert not genuine({**old, "webhook-signature": webhook.sign(secret, "msg_1", now - 400, body)}, body, secret)


def test_a_new_secret_is_shown_as_the_standard_says_and_signs() -> None:
    secret = webhook.new_secret()
    assert secret.startswith("whsec_") and secret != webhook.new_secret()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(key) == 32
    wanted = base64.b64encode(hmac.digest(key, b"msg_1.7.{}", hashlib.sha256)).decode()
    assert webhook.sign(secret, "msg_1", 7, b"{}") == f"v1,{wanted}"


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "fc00::1",
        "fec0::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.0.192",
        "168.63.129.16",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "198.18.0.1",
        "192.0.2.1",
    ],
)
def test_no_message_goes_into_a_private_network(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text)) is not None


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_a_public_address_may_be_sent_to(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text)) is None


async def test_a_name_with_one_forbidden_address_is_refused_whole() -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(Forbidden, match="ALERT_ALLOW_PRIVATE"):
        await addresses("x.example", 443, False, resolver)
    assert await addresses("x.example", 443, True, resolver) == ["8.8.8.8", "10.0.0.1"]


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "authority"),
    [
        ("https://a.example", "a.example", 443, "/", "a.example"),
        ("http://a.example:8080/x?y=1", "a.example", 8080, "/x?y=1", "a.example:8080"),
        ("https://[2606:4700::1111]:443/h", "2606:4700::1111", 443, "/h", "[2606:4700::1111]"),
    ],
)
def test_a_url_is_taken_apart(text: str, host: str, port: int, target: str, authority: str) -> None:
    found = webhook.parsed(text)
    assert (found.host, found.port, found.target, found.authority) == (host, port, target, authority)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.example",
        "ftp://a.example",
        "file:///etc/passwd",
        "https://",
        "https://user:pw@a.example/",
        "https://a.example/\r\nX: y",
        "https://a.example/a b",
        "https://a.example:99999/",
        "https://a.example:x/",
        "https://ä.example/",
        "https://a.example/" + "x" * 2000,
    ],
)
def test_a_url_that_cannot_be_sent_to_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        webhook.parsed(text)


@settings(max_examples=60)
@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_in_a_title_or_a_text_becomes_a_header(title: str, text: str) -> None:
    for inject in ("", "\r\nBcc: thief@example.org", "\nBcc: thief@example.org\n\nnew body"):
        made = email.message("v@example.org", ["a@example.org"], title + inject, text, "1.2", NOW)
        read = message_from_bytes(made.as_bytes(policy=policy.SMTP), policy=policy.default)
        wanted = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "MIME-Version"}
        assert set(read.keys()) <= {*wanted, "Content-Transfer-Encoding"}, read.keys()
        assert read["To"] == "a@example.org"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@example.org",
        "anna@",
        "a b@example.org",
        "Anna <anna@example.org>",
        "anna@example.org\r\nBcc: x@example.org",
        "anna@example.org\n",
        '"a b"@example.org',
        "a..b@example.org",
        ".a@example.org",
        "a@-example.org",
        "a@exa_mple.org",
        "a@" + "x" * 64 + ".org",
        "ä@example.org",
        ",".join(f"a{n}@example.org" for n in range(11)),
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    stripped = text.strip() == text
    if stripped or "\r" in text:
        with pytest.raises(ValueError):
            email.addresses(text)
    else:
        assert email.addresses(text) == [text.strip()]


def test_addresses_are_read_with_spaces_around_and_each_once() -> None:
    assert email.addresses(" a@example.org ,b+x@mail.example.org,a@example.org") == [
        "a@example.org",
        "b+x@mail.example.org",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("smtp://mail.example", Server("mail.example", 587, False, True, None, None)),
        ("smtps://u:p%40ss@mail.example", Server("mail.example", 465, True, False, "u", "p@ss")),
        ("smtp://127.0.0.1:25?tls=none", Server("127.0.0.1", 25, False, False, None, None)),
    ],
)
def test_a_mail_server_is_read(text: str, found: Server) -> None:
    assert email.server(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://u@mail.example",
        "smtp://mail.example/x",
        "smtp://u:p@mail.example?tls=none",
        "smtps://mail.example?tls=none",
        "smtp://mail.example?verify=0",
        "smtp://mail.example:x",
    ],
)
def test_a_mail_server_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        email.server(text)


def test_attempts_come_ever_less_often_and_end() -> None:
    waits = [outbox.wait_after(n, 0.5) for n in range(1, 9)]
    assert waits[-1] is None and waits[:-1] == sorted(waits[:-1], key=lambda wait: wait or 0.0)
    total = sum(wait for wait in waits if wait is not None)
    assert 3.5 * 3600 < total < 4 * 3600
