"""DATABASE_URL: what libpq understands is understood, and what is wrong is one line without a secret."""

import ssl
from pathlib import Path

import pytest
from asyncpg import connect_utils
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.database.connection_url import as_pooled, connect_args, normal, pooled, shown, warnings

PLACE = "postgres://u:s3cret@h:5433/d"


def driver_reads(url: str) -> tuple[list[tuple[str, int]], object]:
    """(addresses, parameters) as the driver itself takes them from what we hand it."""
    given = connect_args(normal(url))
    unset = dict.fromkeys(("host", "port", "user", "password", "passfile", "database", "service", "servicefile"))
    rest = dict.fromkeys(("direct_tls", "server_settings", "target_session_attrs", "krbsrvname", "gsslib"))
    addresses, parameters, *_ = connect_utils._parse_connect_dsn_and_args(
        dsn=given["dsn"], ssl=given.get("ssl"), **unset, **rest
    )
    return list(addresses), parameters


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() and not set(text) & set("/?#%[]:")))
def test_any_password_pasted_as_it_is_reaches_the_driver(password: str) -> None:
    try:
        password.encode()
    except UnicodeEncodeError:
        return
    _, parameters = driver_reads(f"postgres://u:{password}@h/d")
    assert parameters.password == password  # type: ignore[attr-defined]


@pytest.mark.parametrize("odd", "/?#%:")
def test_a_password_with_a_character_that_ends_an_address_is_one_line_or_understood(odd: str) -> None:
    url = f"postgres://u:se{odd}cret@h/d"
    if odd in "%:":
        assert driver_reads(url)[1].password == f"se{odd}cret"  # type: ignore[attr-defined]
        return
    with pytest.raises(ValueError, match="%40") as caught:
        normal(url)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        "sslmode=prefer",
        "sslmode=require&channel_binding=require",
        "connect_timeout=10",
        "application_name=visant%20cloud",
        "target_session_attrs=read-write",
        "options=-c%20statement_timeout%3D30000",
        "keepalives=1&keepalives_idle=30&tcp_user_timeout=1000",
        "sslmode=verify-full",
        "sslmode=verify-full&sslrootcert=system",
        "pgbouncer=true",
    ],
)
def test_what_hosting_platforms_write_leaves_nothing_that_the_driver_sends_on_unread(extra: str) -> None:
    addresses, parameters = driver_reads(f"{PLACE}?{extra}")
    assert addresses == [("h", 5433)]
    assert set(parameters.server_settings or {}) <= {"application_name", "options"}  # type: ignore[attr-defined]


def test_settings_reach_the_server_as_they_were_written() -> None:
    _, parameters = driver_reads(f"{PLACE}?options=-c%20a%3D1&application_name=a+b")
    assert parameters.server_settings == {"options": "-c a=1", "application_name": "a b"}  # type: ignore[attr-defined]
    assert connect_args(normal(f"{PLACE}?connect_timeout=7"))["timeout"] == 7.0
    for extra in ("", "?connect_timeout=0"):
        assert 0 < connect_args(normal(f"{PLACE}{extra}"))["timeout"] < 30, "nothing waits for ever"


def test_a_verified_server_is_verified_against_the_systems_authorities() -> None:
    for extra, names in (("sslmode=verify-full", True), ("sslrootcert=system", True), ("sslmode=verify-ca", False)):
        context = connect_args(normal(f"{PLACE}?{extra}"))["ssl"]
        assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname is names, extra


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("sslmode=on", "sslmode=on: one of disable"),
        ("connect_timeout=10s", "connect_timeout=10s: whole seconds"),
        ("sslmode=prefer&sslrootcert=system", "write sslmode=verify-full"),
        ("sslrootcert=/nowhere/ca.crt", "/nowhere/ca.crt: there is no such file"),
        ("channel_binding=maybe", "one of disable, prefer, require"),
        ("statement_timeout=3", "`statement_timeout` is none of PostgreSQL's"),
        ("schema=public", "`schema` is none of PostgreSQL's"),
        ("nonsense", "cannot be taken apart"),
    ],
)
def test_a_bad_parameter_is_one_line_that_names_it_and_the_remedy(extra: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        normal(f"{PLACE}?{extra}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value) and "s3cret" not in str(caught.value)


def test_a_certificate_that_is_there_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("")
    assert "sslrootcert=" in connect_args(normal(f"{PLACE}?sslmode=verify-full&sslrootcert={tmp_path}/ca.crt"))["dsn"]


def test_what_the_driver_cannot_do_is_said_and_a_pooler_is_known_by_its_word() -> None:
    assert "channel_binding=require" in warnings(normal(f"{PLACE}?channel_binding=require"))[0]
    assert warnings(normal(PLACE)) == []
    for url, said in ((PLACE, False), (f"{PLACE}?pgbouncer=true", True), (f"{PLACE}?pgbouncer=false", False)):
        assert pooled(normal(url)) is said
        assert pooled(as_pooled(normal(url)))


def test_a_person_is_shown_the_place_and_no_secret() -> None:
    assert shown(normal(f"{PLACE}?sslmode=require")) == "postgresql://u@h:5433/d"
