"""Who may come in, as far as it is decided without a database: rates, codes, tokens, where a sign-in leads."""

from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.access import credentials
from visant_cloud.access.rate_limits import RateLimits
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


def test_a_rate_remembers_a_bounded_number_of_keys() -> None:
    limits = RateLimits(1.0, 1.0, lambda: 0.0, keys=10)
    for number in range(1000):
        limits.acquire(str(number))
    assert len(limits._buckets) == 10


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
