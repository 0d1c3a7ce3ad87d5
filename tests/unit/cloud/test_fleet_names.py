"""Names in any script, and none that breaks a page."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.fleet import names


@pytest.mark.parametrize(
    "name", ["Übergang 3", "入口カメラ", "مدخل المبنى", "कैमरा", "Dør på gløtt", "📷 lobby", "a\u200db"]
)
def test_a_name_may_be_in_any_script(name: str) -> None:
    assert names.name(f"  {name} ") == name


def test_one_name_is_kept_in_one_spelling() -> None:
    assert names.name("Cafe\u0301") == names.name("Café")
    assert names.tag("Café") == names.tag("CAFE\u0301") == "café"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\nb", "U+000A is a control character"),
        ("a\x00b", "U+0000 is a control character"),
        ("a\u2028b", "U+2028 is a control character"),
        ("a\u202eb", "U+202E turns the direction of writing around"),
        ("a\u2066b", "U+2066 turns the direction"),
        ("\u200b\u200d", "nothing of it can be seen"),
        ("x" * 101, "at most 100 characters, not 101"),
    ],
)
def test_what_breaks_a_page_is_refused_with_what_to_take_away(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        names.name(name)


@pytest.mark.parametrize("tag", ["a b", "a,b", "a:b", 'a"b', "-a", "a~b", "(a)"])
def test_a_tag_is_one_word_that_a_filter_can_name(tag: str) -> None:
    with pytest.raises(ValueError, match="a tag is one word"):
        names.tag(tag)


@given(st.text(max_size=120))
def test_what_is_taken_is_taken_again_unchanged(text: str) -> None:
    for check in (names.name, names.tag, names.name_or_nothing, names.notes):
        with suppress(ValueError):
            kept = check(text)
            assert check(kept) == kept


def test_notes_may_have_lines() -> None:
    assert names.notes(" one\r\ntwo\n") == "one\ntwo"
