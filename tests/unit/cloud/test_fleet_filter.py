"""The filter: what is written is read the same again, and what is wrong is said in one line with its place."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.fleet import filter
from visant_cloud.fleet.filter import FIELDS, FilterError, Term, parse, version_fits, version_key, written
from visant_cloud.views.answers import State

_VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_ANSWERS = {"state": st.sampled_from(filter.STATES), "alert": st.sampled_from((filter.ANY, "camera", "silent"))}
_NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@st.composite
def _terms(draw: st.DrawFn) -> list[Term]:
    terms = []
    for _ in range(draw(st.integers(0, 5))):
        field = draw(st.sampled_from(("", *FIELDS)))
        operator = draw(st.sampled_from(FIELDS[field])) if field else "~"
        value = _ANSWERS.get(field, _NUMBERS if field == "version" else _VALUES)
        values = draw(st.lists(value, min_size=1, max_size=3 if field else 1))
        terms.append(Term(field, operator, tuple(values), draw(st.booleans())))
    return terms


def _without_places(terms: list[Term]) -> list[tuple[object, ...]]:
    return [(one.field, one.operator, one.values, one.negated) for one in terms]


@given(_terms())
def test_what_is_written_is_read_the_same_again(terms: list[Term]) -> None:
    text = written(terms)
    if len(text) <= filter.LONGEST:
        assert _without_places(parse(text)) == _without_places(terms)


@given(st.text(max_size=60) | st.text(st.sampled_from('ab:~<>=,"\\- ()OR.state'), max_size=30))
def test_any_text_is_a_filter_or_one_line_that_names_the_place(text: str) -> None:
    said = "filter"
    try:
        parse(text)
    except FilterError as error:
        said = str(error)
    assert said.startswith("filter") and "\n" not in said


def test_a_filter_is_terms_that_all_hold() -> None:
    found = parse('state:offline,degraded group:north version:<2.1 -tag:door name~"front desk" lobby site:""')
    assert _without_places(found) == [
        ("state", ":", ("offline", "degraded"), False),
        ("group", ":", ("north",), False),
        ("version", ":<", ("2.1",), False),
        ("tag", ":", ("door",), True),
        ("name", "~", ("front desk",), False),
        ("", "~", ("lobby",), False),
        ("site", ":", ("",), False),
    ]
    assert parse("  ") == [] and [one.position for one in parse("a  -b")] == [1, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tag:a state:onfline", "character 13: state is one of connected, degraded, offline"),
        ("sate:offline", "character 1: no field is called 'sate'"),
        ("state~off", "character 6: state takes : and not ~"),
        ('name:"front desk', 'character 6: the " that begins here is not closed'),
        ("name:", "character 6: a value is missing after name:"),
        ("tag:a,", "character 7: a value is missing after tag:"),
        ("a OR b", "character 3: OR: write one term with values"),
        ("a - b", "character 3: - stands alone"),
        ("(a)", "character 1: '(' is no part of this language"),
        ("a:b", "character 1: no field is called 'a'"),
        ("12:30", "character 1: '12:30' has : or ~ and no field before it"),
        ("version:<new", "character 10: 'new' is no version"),
        ('""', 'character 1: a word cannot be ""'),
        ('state:""', 'character 7: state cannot be ""'),
        ('"a"b', "character 4: 'b' is not expected here"),
        ("x" * 1001, "it has 1001 characters"),
        ("tag:" + ",".join("a" * 101), "character 1: more than 100 values"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_the_remedy(text: str, said: str) -> None:
    with pytest.raises(FilterError) as found:
        parse(text)
    assert said in str(found.value)


def test_its_states_are_those_that_the_api_shows() -> None:
    assert get_args(State) == filter.STATES


def test_versions_are_compared_as_versions() -> None:
    ordered = ["0.9", "1", "2.0.9", "2.1.0-rc1", "2.1.0-rc2", "2.1", "2.1.10", "10.0"]
    keys = [version_key(one) for one in ordered]
    assert keys == sorted(keys, key=lambda key: key or ((), 0, "")) and None not in keys
    assert version_key("2.1") == version_key("v2.1.0") == version_key("2.1.0+build7")
    assert version_key("of today") is None
    assert version_fits("2.0.9", ":<", "2.1") and not version_fits("2.1.0", ":<", "2.1")
    assert version_fits("2.10", ":>", "2.9") and version_fits("2.1.3", ":", "2.1")
    assert not version_fits("2.10", ":", "2.1"), "2.10 is no 2.1"
    assert not version_fits(None, ":<", "2.1") and not version_fits("of today", ":>=", "0")
    assert version_fits(None, ":", "") and not version_fits("2", ":", "")
