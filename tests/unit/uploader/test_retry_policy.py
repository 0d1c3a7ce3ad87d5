"""What an answer means, and who gave it."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chance import Longest, Shortest
from visant_contract.errors import Problem, Retryable
from visant_uploader.delivery.retry_policy import (
    BACKOFF_CAP,
    RETRY_AFTER_CAP,
    Refused,
    Speaker,
    item_pause,
    pause,
    speaker,
    verdict,
)

relaxed = settings(deadline=None)

numbers = st.integers(-1, 10**30)
dates = st.builds("Sun, {} Nov {} {}:{}:{} {}".format, numbers, numbers, numbers, numbers, numbers, st.text(max_size=9))
years = st.builds("Sun, 22 Nov {} 12:00:00 {}".format, numbers, st.sampled_from(["GMT", "", "+2359", "-99999999999"]))
header_values = st.text(max_size=20) | dates | years

PAGE = b"<html><head><title>403 Forbidden</title></head><body><center>nginx</center></body></html>"


def problem(status: int) -> bytes:
    """As our cloud answers."""
    return Problem(title="No", status=status, detail="bad").model_dump_json().encode()


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("status", [429, 503, 507])
def test_an_overloaded_cloud_makes_all_wait(status: int, plain: bool) -> None:
    found = verdict(status, {"retry-after": "7"}, b"", plain=plain)
    assert isinstance(found, Retryable) and found.endpoint and found.retry_after == 7


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 412, 413, 415, 422, 500, 502, 504])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        PAGE,
        b"\xff\xd8\xff",
        b"null",
        b"[]",
        b'"detail"',
        b"{}",
        b'{"message":"Forbidden"}',
        b'{"title":"Bad Request","status":999,"detail":"of another answer"}',
        b'{"title":"Bad Request","status":"400","detail":5}',
        b'{"error":{"code":400,"message":"x"}}',
        b"[" * 100_000,
    ],
)
def test_a_page_an_empty_body_and_the_json_of_somebody_else_are_not_the_clouds_word(status: int, body: bytes) -> None:
    for plain in (False, True):
        if plain and b'"detail":' in body:
            continue
        assert speaker(status, body, plain=plain) is Speaker.NETWORK
        found = verdict(status, {}, body, plain=plain)
        assert isinstance(found, Refused) and not found.rejects


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_the_cloud_says_in_its_own_words_that_it_will_never_take_an_item(status: int) -> None:
    ours = verdict(status, {}, problem(status), plain=False)
    assert isinstance(ours, Refused) and ours.rejects and ours.status == status and "bad" in ours.detail
    for body in (b'{"detail":"bad"}', b'{"detail":[{"loc":["body"],"msg":"bad"}]}'):  # 422 of FastAPI has a list
        theirs = verdict(status, {}, body, plain=True)
        assert isinstance(theirs, Refused) and theirs.rejects
        assert speaker(status, body, plain=False) is Speaker.NETWORK  # ours says more


@pytest.mark.parametrize("status", [401, 403, 404, 301, 302, 307, 402, 405, 408, 409, 410, 412, 431, 451, 100, 500])
def test_no_other_status_says_that_an_item_will_never_be_taken(status: int) -> None:
    found = verdict(status, {}, problem(status), plain=False)
    assert isinstance(found, Refused) and found.speaker is Speaker.CLOUD and not found.rejects


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_yes_without_a_receipt_is_no_receipt(status: int) -> None:
    found = verdict(status, {}, b"<html>please log in</html>", plain=False)
    assert isinstance(found, Retryable) and found.endpoint


@relaxed
@given(status=st.integers(100, 999), body=st.binary(max_size=500), value=header_values, date=header_values)
def test_every_answer_has_a_verdict_of_bounded_length(status: int, body: bytes, value: str, date: str) -> None:
    for plain in (False, True):
        found = verdict(status, {"retry-after": value, "date": date}, body, plain=plain)
        assert len(str(found)) < 2500
        if found.retry_after is not None:
            assert 0 <= found.retry_after <= RETRY_AFTER_CAP


def test_a_wait_that_is_asked_for_is_obeyed_within_reason() -> None:
    for asked, seconds in (("30", 30), (" 0 ", 0), ("99999999999999999999", RETRY_AFTER_CAP), ("soon", None)):
        assert verdict(503, {"retry-after": asked}, b"", plain=False).retry_after == seconds


FIVE_MINUTES = 300.0
AN_HOUR = 3600.0
BY_CLOUD = Refused(401, Speaker.CLOUD, "x")
BY_NETWORK = Refused(403, Speaker.NETWORK, "x")


@relaxed
@given(attempt=st.integers(0, 10**6), seed=st.integers())
def test_no_wait_is_longer_than_its_cap(attempt: int, seed: int) -> None:
    rng = Random(seed)
    assert 0 <= pause(Retryable("x"), attempt, rng) <= BACKOFF_CAP
    assert 0 <= item_pause(attempt, rng) <= BACKOFF_CAP
    assert 0 <= item_pause(attempt, rng, alone=True) <= AN_HOUR
    assert 60 <= pause(BY_CLOUD, attempt, rng) <= 65
    assert 0 <= pause(BY_NETWORK, attempt, rng) <= 60
    assert 12 <= pause(Retryable("x", retry_after=12), attempt, rng) <= 13


def test_attempts_never_run_out_and_waits_grow() -> None:
    rng = Random(1)
    mean = [sum(item_pause(attempt, rng) for _ in range(300)) / 300 for attempt in (0, 3, 6, 30)]
    assert mean == sorted(mean) and mean[-1] > 100


@pytest.mark.parametrize(
    ("failure", "least", "most"),
    [
        (BY_CLOUD, 60.0, 65.0),  # a person must act: a probe a minute, the fleet not in step
        (Refused(404, Speaker.CLOUD, "x"), 60.0, 65.0),
        (Retryable("x", retry_after=0.0), 0.0, 1.0),
        (Retryable("x", retry_after=12.0), 12.0, 13.0),  # never sooner than asked for, and the fleet not in step
        (Refused(403, Speaker.NETWORK, "x", retry_after=90.0), 90.0, 91.0),
    ],
)
@pytest.mark.parametrize("attempt", [0, 1, 1000])
def test_a_probe_and_an_asked_for_wait_do_not_grow(
    failure: Retryable | Refused, least: float, most: float, attempt: int
) -> None:
    assert pause(failure, attempt, Shortest()) == least
    assert pause(failure, attempt, Longest()) == most


@pytest.mark.parametrize(
    ("attempt", "most", "refusal", "alone"),
    [
        (0, 1.0, 1.0, 1.0),
        (1, 2.0, 2.0, 2.0),
        (2, 4.0, 4.0, 4.0),
        (8, 256.0, 60.0, 256.0),
        (9, FIVE_MINUTES, 60.0, 512.0),
        (10**6, FIVE_MINUTES, 60.0, AN_HOUR),
    ],
)
def test_waits_double_from_a_second_to_their_cap_with_full_jitter(
    attempt: int, most: float, refusal: float, alone: float
) -> None:
    assert [pause(Retryable("x"), attempt, dice) for dice in (Shortest(), Longest())] == [0.0, most]
    assert [item_pause(attempt, dice) for dice in (Shortest(), Longest())] == [0.0, most]
    assert [item_pause(attempt, dice, alone=True) for dice in (Shortest(), Longest())] == [0.0, alone]
    for failure in (BY_NETWORK, Refused(412, Speaker.CLOUD, "x")):
        assert [pause(failure, attempt, dice) for dice in (Shortest(), Longest())] == [0.0, refusal]


@pytest.mark.parametrize("status", [429, 500, 503, 507])
@pytest.mark.parametrize(
    ("asked", "seconds"), [("0", 0.0), ("3599", 3599.0), ("3600", AN_HOUR), ("3601", AN_HOUR), ("31536000", AN_HOUR)]
)
def test_a_typing_error_in_retry_after_silences_a_device_for_an_hour_at_most(
    status: int, asked: str, seconds: float
) -> None:
    assert verdict(status, {"retry-after": asked}, b"", plain=False).retry_after == seconds


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [
        (199, Refused, False),
        (200, Retryable, False),
        (299, Retryable, False),
        (300, Refused, False),
        (412, Refused, False),
        (499, Refused, False),
        (500, Refused, True),
        (502, Refused, True),
    ],
)
def test_where_one_family_of_answers_ends_and_the_next_begins(status: int, kind: type[Exception], fault: bool) -> None:
    found = verdict(status, {}, b"", plain=False)
    assert isinstance(found, kind)
    assert isinstance(found, Retryable) or found.is_fault is fault


def test_what_was_answered_is_kept_short_and_readable() -> None:
    found = verdict(401, {}, b"\xff" + b"x" * 10_000, plain=False)
    assert isinstance(found, Refused) and str(found) == found.detail
    assert found.detail == "HTTP 401: \ufffd" + "x" * 299
