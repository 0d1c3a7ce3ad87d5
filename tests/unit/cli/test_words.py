"""What is shown of others' words, how times are read, and where a token is believed to belong. All pure."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cli import profiles, when
from visant_cli.output import size
from visant_cli.safe_text import file_name, json_text, shown

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=timezone(timedelta(hours=1)))
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]))


@given(ANY_TEXT)
def test_nothing_that_is_shown_acts_on_a_terminal(text: str) -> None:
    said = shown(text)
    acting = {letter for letter in said if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")}
    assert not acting
    assert not set(said) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@given(
    st.recursive(st.none() | st.booleans() | ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner))
)
def test_json_is_the_same_value_and_harms_no_terminal(value: object) -> None:
    for indent in (None, 2):
        text = json_text(value, indent=indent)
        assert json.loads(text) == value
        assert shown(text.replace("\n", "")) == text.replace("\n", "")
        assert indent or "\n" not in text


@pytest.mark.parametrize(
    "name", ["Türkamera 3", "Камера у входа", "カメラ", "كاميرا البوابة", "दरवाज़ा", "👩‍🔧 shop", "می‌خواهم"]
)
def test_names_of_every_script_stay_as_they_are(name: str) -> None:
    assert shown(name) == name
    assert name in json_text({"name": name})


def test_what_would_forge_a_row_or_a_colour_is_spelt_out() -> None:
    assert shown("a\nb\tc\x1b[31mred\x9b2J\u202egpj") == r"a\nb\tc\x1b[31mred\x9b2J\u202egpj"


@given(ANY_TEXT)
def test_a_file_name_is_one_plain_part_of_a_path(text: str) -> None:
    name = file_name(text)
    assert name and len(name) <= 100 and name.isascii() and "/" not in name and name[0] not in ".-"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("2 days", 172800),
        ("1.5h", 5400),
        ("1w", 604800),
        ("5 min", 300),
    ],
)
def test_lengths_of_time_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert when.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "5x", "h", "1h30", "-5m", "1e3", "9" * 30 + "d", "5m!"])
def test_what_is_no_length_of_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write e\.g\. 90s, 15m"):
        when.seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2d", "2026-11-28T11:00:00.000000Z"),
        ("now", "2026-11-30T11:00:00.000000Z"),
        ("yesterday", "2026-11-28T23:00:00.000000Z"),
        ("08:15", "2026-11-30T07:15:00.000000Z"),
        ("2026-11-29", "2026-11-28T23:00:00.000000Z"),
        ("2026-11-29T10:00Z", "2026-11-29T10:00:00.000000Z"),
    ],
)
def test_moments_are_read_in_the_zone_of_who_asks(text: str, expected: str) -> None:
    assert when.rfc3339(when.moment(text, NOW)) == expected


@pytest.mark.parametrize("text", ["2026-13-01", "25:00", "tomorrow evening", "", "999999999w"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write e\.g\. 2d"):
        when.moment(text, NOW)


def test_how_long_ago_is_said_in_one_unit() -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    assert when.ago("2026-11-29T23:59:30Z", now) == "30 s ago"
    assert when.ago("2026-11-30T00:10:00Z", now) == "in 10 min"
    assert (when.ago(None, now), when.ago("not a time", now)) == ("never", "not a time")
    assert [size(count) for count in (0, 999, 1000, 412_000, 5_400_000, 2e12)] == [
        "0 B",
        "999 B",
        "1.0 KB",
        "412 KB",
        "5.4 MB",
        "2.0 TB",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cloud.example", "https://cloud.example"),
        ("localhost:8000/", "http://localhost:8000"),
        ("https://cloud.example/sub/", "https://cloud.example/sub"),
        ("http://10.0.0.5:8000", "http://10.0.0.5:8000"),
    ],
)
def test_an_address_is_completed(text: str, expected: str) -> None:
    assert profiles.normal_url(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "https://", "https://x:0", "https://x:99999", "https://[::1", "https://x y"]
)
def test_what_is_no_address_of_a_cloud_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        profiles.normal_url(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="without user") as refused:
        profiles.normal_url("https://anna:s3cret@cloud.example")
    assert "s3cret" not in str(refused.value)


def test_only_what_another_machine_could_read_counts_as_in_the_clear() -> None:
    assert profiles.in_the_clear("http://cloud.example")
    assert not profiles.in_the_clear("http://127.0.0.1:8000")
    assert not profiles.in_the_clear("https://cloud.example")
