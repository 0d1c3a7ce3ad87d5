from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_connector.line_limiter import LineLimiter


def read(chunks: list[bytes], limit: int = 1000) -> tuple[list[bytes], list[str]]:
    dropped: list[str] = []
    lines = LineLimiter(limit, dropped.append)
    return [line for chunk in chunks for line in lines.feed(chunk)], dropped


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_three_line_ends_of_sse_are_one(end: bytes) -> None:
    assert read([b"a" + end + end + b"b" + end]) == ([b"a\n", b"\n", b"b\n"], [])


def test_an_unfinished_line_waits() -> None:
    assert read([b"data: x", b"y"]) == ([], [])


@given(st.text(alphabet="aé✓😀 :\n\r", max_size=60), st.lists(st.integers(0, 200), max_size=8))
def test_where_the_network_cuts_makes_no_difference(text: str, cuts: list[int]) -> None:
    data = (text + "\n").encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = [data[a:b] for a, b in pairwise(places)]
    assert read(chunks) == read([data])


@given(st.text(alphabet="aé✓😀 :\n\r", max_size=60))
def test_nothing_that_is_within_bounds_is_lost(text: str) -> None:
    lines, dropped = read([(text + "\n").encode()])
    assert b"".join(lines).decode() == (text + "\n").replace("\r\n", "\n").replace("\r", "\n")
    assert dropped == []


def test_a_line_that_is_too_long_is_left_out_and_the_next_one_comes() -> None:
    lines, dropped = read([b"x" * 600, b"x" * 600, b"x" * 600 + b"\ndata: y\n"])
    assert lines == [b"data: y\n"]
    assert dropped == ["longer than 1000 bytes"]


def test_a_line_that_is_too_long_is_not_kept_while_it_arrives() -> None:
    lines = LineLimiter(1000, lambda why: None)
    for _ in range(100):
        list(lines.feed(b"x" * 10_000))
        assert len(lines._line) <= 1000


def test_an_event_of_many_lines_is_bounded_too() -> None:
    lines, dropped = read([b"data: " + b"x" * 94 + b"\n"] * 20 + [b"\n", b"data: y\n"])
    assert lines[-2:] == [b"\n", b"data: y\n"]
    assert len(lines) == 12
    assert len(dropped) == 10


def test_what_is_not_utf8_is_left_out_and_named() -> None:
    lines, dropped = read([b"data: \xff\xfe\ndata: \xe2\x9c\x93\n"])
    assert lines == ["data: ✓\n".encode()]
    assert len(dropped) == 1
    assert "not UTF-8" in dropped[0]


def test_a_byte_order_mark_at_the_start_is_no_part_of_the_first_line() -> None:
    assert read([b"\xef\xbb\xbfdata: x\n"])[0] == [b"data: x\n"]
