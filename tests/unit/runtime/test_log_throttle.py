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
