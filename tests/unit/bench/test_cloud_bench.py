"""What the cloud's bench reads and judges by itself: a figure is worth what its reader is worth."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.cloud.answers import Answer, Events
from tests.bench.cloud.table import (
    Row,
    at_least_times,
    at_most,
    at_most_more,
    at_most_times,
    last_line,
    percentile,
    told,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = [b"data: {}\n\n", b'id: 7\ndata: {"cmd":"capture"}\n\n', b": a comment\n\nretry: 5\n\n", b'data: {"n":1}\n\n']


@given(st.lists(st.integers(1, 200)))
def test_a_stream_says_the_same_however_its_bytes_are_cut(cuts: list[int]) -> None:
    whole = HEAD + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in EVENTS) + b"0\r\n\r\n"
    answer, events, found = Answer(), Events(), list[bytes]()
    for size in (*cuts, len(whole)):
        part, whole = whole[:size], whole[size:]
        found += events.feed(answer.feed(part)) if part else []
    assert (answer.status, answer.ended) == (200, True)
    assert [json.loads(one) for one in found] == [{}, {"cmd": "capture"}, {"n": 1}]


def test_a_refusal_is_whole_with_its_length_and_says_when_to_come_again() -> None:
    answer = Answer()
    assert answer.feed(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nno") == b"no"
    assert (answer.status, answer.retry_after, answer.ended) == (503, 7.0, False)
    assert answer.feed(b"pe") == b"pe"
    assert answer.ended


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (at_most_times("p50", 3.0, 2.0, 1.5), True),
        (at_most_times("p50", 3.1, 2.0, 1.5), False),
        (at_least_times("stored", 6.9, 10.0, 0.7), False),
        (at_most_more("other", 6.0, 1.0, 5), True),
        (at_most("back", 31.0, 30), False),
        (told("kB", 5.0), None),
    ],
)
def test_a_figure_is_judged_by_its_aim(row: Row, met: bool | None) -> None:
    assert row.met is met


def test_a_figure_that_could_not_be_had_misses_its_aim() -> None:
    rows = [at_most("back", None, 30), at_most_times("last", None, 1.0, 2), at_least_times("stored", 1.0, None, 0.7)]
    assert [row.met for row in rows] == [False] * 3


def test_events_that_never_came_are_no_part_of_a_percentile() -> None:
    assert percentile([1.0, None, 3.0], 50) == 2.0
    assert percentile([None, 3.0], 50) is None


def test_the_last_line_is_json_with_each_rows_six_words() -> None:
    (row,) = json.loads(last_line([at_most_times("p50", 3.14159, 2.0, 1.5)]))["rows"]
    assert row == {"name": "p50", "figure": 3.142, "floor": 2.0, "ratio": 1.571, "aim": "<= 1.5 x floor", "met": False}
