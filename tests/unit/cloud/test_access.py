"""Who may come in, as far as it is decided without a database: rates, codes, tokens, where a sign-in leads."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud import problems
from visant_cloud.access import credentials
from visant_cloud.access.body_limits import BodyLimit
from visant_cloud.access.rate_limits import RateLimits, by_address
from visant_cloud.access.sign_in import safe_target


def test_a_rate_lets_a_burst_through_then_one_at_a_time_and_names_the_wait() -> None:
    now = 0.0
    limits = RateLimits(2.0, 3.0, lambda: now)
    assert [limits.acquire("a") for _ in range(4)] == [None, None, None, 1]
    assert limits.acquire("b") is None, "each key has its own"
    now = 0.5
    assert [limits.acquire("a"), limits.acquire("a")] == [None, 1]
    now = 100.0
    assert [limits.acquire("a") for _ in range(4)] == [None, None, None, 1]


def test_a_rate_remembers_a_bounded_number_of_keys_and_junk_does_not_make_it_forget_who_must_wait() -> None:
    now = 0.0
    limits = RateLimits(1.0, 5.0, lambda: now, keys=10)
    while limits.acquire("guesser") is None:
        pass
    for number in range(1000):
        limits.acquire(f"junk {number}")
        assert len(limits) <= 10
    assert limits.acquire("guesser") == 1, "those who acted once are forgotten first"
    now = 6.0
    for number in range(10):
        limits.acquire(f"more {number}")
    assert limits.acquire("guesser") is None
    limits.reset("guesser")
    assert [limits.acquire("guesser") for _ in range(6)] == [None] * 5 + [1]


def test_asking_for_the_wait_takes_nothing() -> None:
    limits = RateLimits(1 / 30, 2.0, lambda: 7.0)
    assert [limits.wait("a") for _ in range(5)] == [None] * 5
    assert [limits.acquire("a") for _ in range(3)] == [None, None, 30]
    assert limits.wait("a") == 30


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("testclient", "testclient", True),
    ],
)
def test_ipv6_addresses_count_by_the_64_that_one_subscriber_has(one: str, other: str, same: bool) -> None:
    assert (by_address(one) == by_address(other)) is same


def test_somebody_without_an_address_counts_as_one() -> None:
    assert by_address(None) == ""


@given(st.text(max_size=200))
def test_a_sign_in_never_leads_to_another_site(wanted: str) -> None:
    target = safe_target(wanted)
    assert target.startswith("/") and not target.startswith(("//", "/\\"))


@given(st.text(alphabet="0123456789abcdefXYZ- \t", max_size=30))
def test_a_code_is_the_same_however_it_is_typed(text: str) -> None:
    assert credentials.tidy_code(text) == credentials.tidy_code(f" {text.lower()}-")


def test_codes_and_tokens_are_never_alike() -> None:
    assert len({credentials.enrol_code() for _ in range(2000)}) == 2000
    assert len({credentials.device_token() for _ in range(100)}) == 100


async def test_a_route_that_forgot_to_ask_who_sends_gets_no_body() -> None:
    router = APIRouter()

    @router.post("/forgotten")
    async def forgotten(request: Request, body: dict[str, int]) -> dict[str, int]:
        return body

    app = FastAPI()
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.post("/forgotten", json={"a": 1})).status_code == 401
