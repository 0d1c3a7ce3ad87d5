"""Behind reverse proxies: whose address counts, and which page is our own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from visant_cloud.access.forwarded import Forwarded, trusted
from visant_cloud.access.same_origin import from_here, origin

PROXY = "10.0.0.9"
ADDRESSES = st.ip_addresses(v=4).map(str).filter(lambda address: not address.startswith("10."))


@given(st.lists(st.one_of(ADDRESSES, st.just(PROXY), st.text(max_size=20)), max_size=5), ADDRESSES, st.booleans())
def test_whatever_a_stranger_writes_before_it_the_address_that_the_proxy_saw_counts(
    invented: list[str], seen: str, anybody: bool
) -> None:
    proxies = trusted("*" if anybody else "10.0.0.0/8")
    written = ",".join([*(word.replace(",", "") for word in invented), seen])
    assert proxies.client(PROXY, written) == seen


@pytest.mark.parametrize(
    ("allow", "said", "client"),
    [
        ("10.0.0.0/8", "203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("10.0.0.0/8", "203.0.113.9, nonsense, 10.1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", "203.0.113.9:4000, 10.1.2.3:5", "203.0.113.9"),
        ("10.0.0.0/8", "[2001:db8::1]:4000", "2001:db8::1"),
        ("10.0.0.0/8", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.0/8", '"203.0.113.9"', "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", "unknown", PROXY),
        ("10.0.0.0/8", "", PROXY),
        ("*", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
    ],
)
def test_the_last_address_that_is_no_proxys_is_the_clients(allow: str, said: str, client: str) -> None:
    assert trusted(allow).client(PROXY, said) == client


@pytest.mark.parametrize(
    ("allow", "peer", "believed"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("", "127.0.0.1", False),
        ("10.0.0.0/8, fd00::/8", "fd00::7", True),
        ("*", "", True),
        ("127.0.0.1", "", False),
    ],
)
def test_only_a_listed_peer_is_believed(allow: str, peer: str, believed: bool) -> None:
    assert trusted(allow).peer(peer) is believed


@pytest.mark.parametrize("wrong", ["proxy", "10.0.0.0/33", "127.0.0.1;10.0.0.1"])
def test_what_is_no_address_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        trusted(wrong)


async def scope_of(allow: str, peer: str, *headers: tuple[str, str]) -> dict[str, Any]:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    async def unused(*_: Any) -> Any:
        pytest.fail("the middleware reads and sends nothing itself")

    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    given = {"type": "http", "client": (peer, 5), "scheme": "http", "headers": raw}
    await Forwarded(app, trusted(allow))(given, unused, unused)
    return dict(seen[0])


async def test_a_request_is_seen_as_the_proxy_saw_it_and_a_strangers_word_is_not_heard() -> None:
    said = (("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "cams.example"))
    scope = await scope_of("127.0.0.1", "127.0.0.1", *said)
    assert (scope["client"][0], scope["scheme"], scope["forwarded_host"]) == ("203.0.113.9", "https", "cams.example")
    scope = await scope_of("127.0.0.1", "192.0.2.1", *said)
    assert (scope["client"][0], scope["scheme"], "forwarded_host" in scope) == ("192.0.2.1", "http", False)
    twice = (("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "gopher"))
    scope = await scope_of("127.0.0.1", "127.0.0.1", *twice)
    assert (scope["client"][0], scope["scheme"]) == ("203.0.113.9", "http")


@pytest.mark.parametrize(
    ("headers", "chosen", "ours"),
    [
        ({}, {}, True),  # no browser
        ({"Origin": "https://cams.example", "Host": "cams.example"}, {}, True),
        ({"Origin": "https://CAMS.example", "Host": "cams.example"}, {}, True),
        ({"Origin": "https://evil.example", "Host": "cams.example"}, {}, False),
        ({"Origin": "null", "Host": "cams.example"}, {}, False),
        ({"Origin": "http://a:81", "Host": "a"}, {}, False),
        ({"Origin": "http://a:81", "Host": "a"}, {"behind_proxy": True}, True),
        ({"Origin": "http://evil:81", "Host": "a"}, {"behind_proxy": True}, False),
        ({"Origin": "http://a:81", "Host": "up:8000"}, {"behind_proxy": True, "forwarded_host": "a:81"}, True),
        ({"Origin": "http://b:81", "Host": "up:8000"}, {"behind_proxy": True, "forwarded_host": "a:81"}, False),
        ({"Origin": "https://cams.example", "Host": "127.0.0.1:8000"}, {"public": "https://cams.example"}, True),
        ({"Origin": "https://evil.example", "Host": "evil.example"}, {"public": "https://cams.example"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://a", "Host": "up"}, {}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://a", "Host": "a"}, {}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://a", "Host": "a"}, {}, False),
        ({"Sec-Fetch-Site": "none"}, {}, True),
        ({"Origin": "http://:81", "Host": ""}, {"behind_proxy": True}, False),
    ],
)
def test_a_page_of_another_site_is_told_from_our_own(
    headers: dict[str, str], chosen: dict[str, Any], ours: bool
) -> None:
    assert from_here(Headers(headers), **{"public": None, **chosen}) is ours


@pytest.mark.parametrize(
    ("given_url", "as_sent"),
    [
        ("https://cams.example/", "https://cams.example"),
        ("https://cams.example:443", "https://cams.example"),
        ("http://Cams.Example:8080", "http://cams.example:8080"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_own_origin_is_written_as_browsers_write_it(given_url: str, as_sent: str) -> None:
    assert origin(given_url) == as_sent


@pytest.mark.parametrize("wrong", ["cams.example", "ftp://a", "https://", "https://a/b", "https://u@a", "https://a:x"])
def test_what_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="write"):
        origin(wrong)
