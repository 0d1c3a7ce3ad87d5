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


@pytest.mark.parametrize("length", [999, 1000])
def test_a_line_of_just_the_limit_is_whole_however_it_arrives(length: int) -> None:
    line = b"x" * length
    for chunks in ([line + b"\n"], [line, b"\n"], [line[:400], line[400:] + b"\n"]):
        assert read(chunks) == ([line + b"\n"], [])


@pytest.mark.parametrize("cut", [0, 1, 500, 1000, 1001])
def test_a_line_of_one_byte_more_is_left_out_however_it_arrives(cut: int) -> None:
    line = b"x" * 1001
    assert read([line[:cut], line[cut:], b"\ndata: y\n"]) == ([b"data: y\n"], ["longer than 1000 bytes"])


def test_the_lines_of_one_event_may_have_just_the_limit_together() -> None:
    event = [b"x" * 600, b"y" * 400, b""]
    lines, dropped = read([one + b"\n" for one in event * 3])
    assert lines == [one + b"\n" for one in event * 3]
    assert dropped == []
    assert read([b"x" * 600 + b"\n", b"y" * 401 + b"\n", b"\n"])[1] == ["longer than 1000 bytes"]


def test_a_line_that_was_left_out_ends_no_event() -> None:
    """Only an empty line does: what follows it is still of the same event, and counts with what came before."""
    chunks = [b"x" * 900 + b"\n", b"z" * 2000 + b"\n", b"y" * 200 + b"\n", b"\n", b"y" * 200 + b"\n"]
    lines, dropped = read(chunks)
    assert lines == [b"x" * 900 + b"\n", b"\n", b"y" * 200 + b"\n"]
    assert dropped == ["longer than 1000 bytes"] * 2


def test_a_line_that_was_left_out_takes_no_room_of_its_event() -> None:
    lines, dropped = read([b"x" * 100 + b"\n", b"z" * 900, b"z" * 200 + b"\n", b"y" * 900 + b"\n", b"\n"])
    assert lines == [b"x" * 100 + b"\n", b"y" * 900 + b"\n", b"\n"]
    assert dropped == ["longer than 1000 bytes"]


def test_a_line_end_that_the_network_cuts_in_two_is_one_line_end() -> None:
    assert read([b"a\r", b"\nb\r", b"\n"]) == ([b"a\n", b"b\n"], [])
    assert read([b"a\r", b"\n\nb\n"]) == ([b"a\n", b"\n", b"b\n"], [])
    assert read([b"a\r", b"b\n", b"\nc\n"]) == ([b"a\n", b"b\n", b"\n", b"c\n"], [])
    assert read([b"a\n", b"\nb\n"]) == ([b"a\n", b"\n", b"b\n"], [])
    assert read([b"\n", b"b\n"]) == ([b"\n", b"b\n"], [])


def test_only_the_first_line_may_begin_with_a_byte_order_mark() -> None:
    mark = b"\xef\xbb\xbf"
    assert read([mark + mark + b"a\n" + mark + b"b\n"])[0] == [mark + b"a\n", mark + b"b\n"]


def test_why_a_line_is_left_out_is_said_with_its_beginning_only() -> None:
    _, dropped = read([b"ab\xff" + b"c" * 500 + b"\n"])
    assert dropped == ["not UTF-8 (invalid start byte at byte 2): " + repr(b"ab\xff" + b"c" * 77)]
