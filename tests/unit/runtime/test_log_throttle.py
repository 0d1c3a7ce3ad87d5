from visant_runtime.log_throttle import LogThrottle


def test_the_same_line_is_said_once_then_ever_less_often() -> None:
    repeats = LogThrottle()
    said = [n for n in range(1, 401) if repeats.again("gone") is not None]
    assert said == [1, 10, 100, 200, 300, 400]


def test_another_line_is_said_at_once() -> None:
    repeats = LogThrottle()
    assert [repeats.again(text) for text in ("gone", "gone", "refused", "gone")] == [1, None, 1, 1]


def test_the_end_is_only_news_where_something_was_said() -> None:
    repeats = LogThrottle()
    assert not repeats.over()
    repeats.again("gone")
    assert repeats.over()
    assert not repeats.over()
    assert repeats.again("gone") == 1


def test_what_is_said_tells_how_often_it_came() -> None:
    repeats = LogThrottle()
    said = [repeats.again("gone") for _ in range(200)]
    assert [one for one in said if one is not None] == [1, 10, 100, 200]
    repeats.again("refused")
    assert [repeats.again("gone") for _ in range(3)] == [1, None, None]


def test_after_the_end_the_count_begins_anew() -> None:
    repeats = LogThrottle()
    for _ in range(9):
        repeats.again("gone")
    assert repeats.over() is True
    assert repeats.over() is False
    assert [repeats.again("gone") for _ in range(10)] == [1, *[None] * 8, 10]
