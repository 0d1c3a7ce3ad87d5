"""What an answer means."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chance import Longest, Shortest
from visant_contract.errors import Misconfigured, Rejected, Retryable
from visant_uploader.delivery.retry_policy import BACKOFF_CAP, RETRY_AFTER_CAP, item_pause, pause, verdict

relaxed = settings(deadline=None)

numbers = st.integers(-1, 10**30)
dates = st.builds("Sun, {} Nov {} {}:{}:{} {}".format, numbers, numbers, numbers, numbers, numbers, st.text(max_size=9))
years = st.builds("Sun, 22 Nov {} 12:00:00 {}".format, numbers, st.sampled_from(["GMT", "", "+2359", "-99999999999"]))
header_values = st.text(max_size=20) | dates | years


@pytest.mark.parametrize("status", [429, 503, 507])
def test_an_overloaded_cloud_makes_all_wait(status: int) -> None:
    found = verdict(status, {"retry-after": "7"}, b"")
    assert isinstance(found, Retryable) and found.endpoint and found.retry_after == 7


@pytest.mark.parametrize("status", [500, 501, 502, 504, 599])
def test_another_server_error_makes_only_this_item_wait(status: int) -> None:
    found = verdict(status, {}, b"")
    assert isinstance(found, Retryable) and not found.endpoint


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refused_item_is_refused_for_good_with_its_status(status: int) -> None:
    found = verdict(status, {}, b'{"detail":"bad"}')
    assert isinstance(found, Rejected) and found.reason == f"rejected_{status}" and "bad" in found.detail


@pytest.mark.parametrize("status", [401, 403, 404, 301, 302, 307, 402, 405, 408, 409, 410, 418, 431, 451, 100])
def test_anything_else_is_for_a_person(status: int) -> None:
    assert isinstance(verdict(status, {}, b""), Misconfigured)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_yes_without_a_receipt_is_no_receipt(status: int) -> None:
    found = verdict(status, {}, b"<html>please log in</html>")
    assert isinstance(found, Retryable) and found.endpoint


@relaxed
@given(status=st.integers(100, 999), body=st.binary(max_size=500), value=header_values, date=header_values)
def test_every_answer_has_a_verdict_of_bounded_length(status: int, body: bytes, value: str, date: str) -> None:
    found = verdict(status, {"retry-after": value, "date": date}, body)
    assert len(str(found)) < 2500
    if isinstance(found, Retryable) and found.retry_after is not None:
        assert 0 <= found.retry_after <= RETRY_AFTER_CAP


def test_a_wait_that_is_asked_for_is_obeyed_within_reason() -> None:
    for asked, seconds in (("30", 30), (" 0 ", 0), ("99999999999999999999", RETRY_AFTER_CAP), ("soon", None)):
        found = verdict(503, {"retry-after": asked}, b"")
        assert isinstance(found, Retryable) and found.retry_after == seconds


@relaxed
@given(attempt=st.integers(0, 10**6), seed=st.integers())
def test_no_wait_is_longer_than_its_cap(attempt: int, seed: int) -> None:
    rng = Random(seed)
    assert 0 <= pause(Retryable("x"), attempt, rng) <= BACKOFF_CAP
    assert 0 <= item_pause(attempt, rng) <= BACKOFF_CAP
    assert 60 <= pause(Misconfigured("http_401", "x"), attempt, rng) <= 65
    assert 12 <= pause(Retryable("x", retry_after=12), attempt, rng) <= 13


def test_attempts_never_run_out_and_waits_grow() -> None:
    rng = Random(1)
    mean = [sum(item_pause(attempt, rng) for _ in range(300)) / 300 for attempt in (0, 3, 6, 30)]
    assert mean == sorted(mean) and mean[-1] > 100


FIVE_MINUTES = 300.0
AN_HOUR = 3600.0


@pytest.mark.parametrize(
    ("failure", "least", "most"),
    [
        (Misconfigured("http_401", "x"), 60.0, 65.0),  # a person must act: a probe a minute, the fleet not in step
        (Retryable("x", retry_after=0.0), 0.0, 1.0),
        (Retryable("x", retry_after=12.0), 12.0, 13.0),  # never sooner than asked for, and the fleet not in step
    ],
)
@pytest.mark.parametrize("attempt", [0, 1, 1000])
def test_a_probe_and_an_asked_for_wait_do_not_grow(
    failure: Retryable | Misconfigured, least: float, most: float, attempt: int
) -> None:
    assert pause(failure, attempt, Shortest()) == least
    assert pause(failure, attempt, Longest()) == most


@pytest.mark.parametrize(
    ("attempt", "most"), [(0, 1.0), (1, 2.0), (2, 4.0), (8, 256.0), (9, FIVE_MINUTES), (10**6, FIVE_MINUTES)]
)
def test_waits_double_from_a_second_to_five_minutes_with_full_jitter(attempt: int, most: float) -> None:
    for longest, shortest in [
        (pause(Retryable("x"), attempt, Longest()), pause(Retryable("x"), attempt, Shortest())),
        (item_pause(attempt, Longest()), item_pause(attempt, Shortest())),
    ]:
        assert (shortest, longest) == (0.0, most)


@pytest.mark.parametrize("status", [429, 500, 503, 507])
@pytest.mark.parametrize(
    ("asked", "seconds"), [("0", 0.0), ("3599", 3599.0), ("3600", AN_HOUR), ("3601", AN_HOUR), ("31536000", AN_HOUR)]
)
def test_a_typing_error_in_retry_after_silences_a_device_for_an_hour_at_most(
    status: int, asked: str, seconds: float
) -> None:
    found = verdict(status, {"retry-after": asked}, b"")
    assert isinstance(found, Retryable) and found.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (199, Misconfigured),
        (200, Retryable),
        (299, Retryable),
        (300, Misconfigured),
        (412, Misconfigured),
        (499, Misconfigured),
        (500, Retryable),
    ],
)
def test_where_one_family_of_answers_ends_and_the_next_begins(status: int, kind: type[Exception]) -> None:
    assert isinstance(verdict(status, {}, b""), kind)


def test_what_was_answered_is_kept_short_and_readable() -> None:
    found = verdict(401, {}, b"\xff" + b"x" * 10_000)
    assert isinstance(found, Misconfigured) and found.reason == "http_401"
    assert found.detail == "HTTP 401: \ufffd" + "x" * 299
