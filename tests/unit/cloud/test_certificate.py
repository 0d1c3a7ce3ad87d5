"""When a certificate is said to be about to expire, and reading one."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.alerts.certificate import Where, of_url, soon_over, validity, where

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("age", "left", "said"),
    [
        (76 * DAY, 14.1 * DAY, None),
        (76 * DAY, 13.9 * DAY, "expires at"),
        (5 * DAY, 1.1 * DAY, None),  # six days, which are renewed with two left
        (5.2 * DAY, 0.8 * DAY, "expires at"),
        (timedelta(hours=8), timedelta(hours=4), None),  # Caddy's own authority: twelve hours
        (timedelta(hours=11), timedelta(hours=1), "expires at"),
        (90 * DAY, timedelta(0), "expired at 2026-11-22 12:00 UTC"),
    ],
)
def test_it_is_said_when_renewal_should_long_have_worked(age: timedelta, left: timedelta, said: str | None) -> None:
    found = soon_over(NOW - age, NOW + left, NOW)
    assert found is None if said is None else found is not None and found.startswith(said)


@pytest.mark.parametrize("days", [30, 40_000])  # the second ends past 2049, which is written in another form
def test_the_validity_of_a_real_certificate_is_read(days: int) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made += ["-keyout", "/dev/null", "-subj", "/CN=cams.example", "-days", str(days), "-outform", "DER"]
    der = subprocess.run(made, check=True, capture_output=True).stdout
    found = validity(der)
    assert found.end - found.begin == days * DAY
    assert abs(found.begin - datetime.now(UTC)) < timedelta(hours=1)


@given(st.binary(max_size=200))
def test_what_is_no_certificate_is_an_error_of_value(data: bytes) -> None:
    with pytest.raises(ValueError):
        validity(data)


def test_where_to_look() -> None:
    assert where("cams.example") == Where("cams.example", "cams.example", 443)
    assert where("cams.example:8443") == Where("cams.example", "cams.example", 8443)
    assert where("cams.example@front:443") == Where("cams.example", "front", 443)
    assert of_url("https://cams.example:8443") == Where("cams.example", "cams.example", 8443)
    assert of_url("http://cams.example") is None and of_url(None) is None
    for wrong in ("", "https://cams.example", "a b", "cams.example:x", "@front:443", "cams.example/x"):
        with pytest.raises(ValueError):
            where(wrong)
