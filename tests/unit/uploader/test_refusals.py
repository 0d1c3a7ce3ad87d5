"""Whom does a refusal concern?"""

import json
from typing import Any

import pytest

from visant_uploader.delivery.refusals import KEPT, Refusals
from visant_uploader.delivery.retry_policy import NO_ANSWER, Refused, Speaker

BAD = Refused(422, Speaker.CLOUD, "HTTP 422: no JPEG")
WAY = Refused(403, Speaker.NETWORK, "HTTP 403: <html>")
HOUR = 3600.0
DAY = 24 * HOUR


class Case:
    """A memory, and a clock that moves on with `after`."""

    def __init__(self, boot_id: str = "boot-1", now: float = 1000.0, kept: dict[str, Any] | None = None) -> None:
        self.now = now
        self.known = Refusals(boot_id, now)
        self.known.recall(kept or {})

    def refuse(self, after: float, refused: Refused = BAD, name: str = "a", kind: str = "picture", **more: Any) -> Any:
        self.now += after
        told = self.known.refused(name, kind, refused, self.now, **{"plain": False, "confirmed": True, **more})
        return None if told is None else told.reason

    def accept(self, after: float, kind: str | None = "picture") -> None:
        self.now += after
        self.known.accepted(self.now, kind)

    def kept(self) -> Any:
        return json.loads(json.dumps(self.known.as_json()))


def test_a_rejection_counts_once_something_was_accepted_since() -> None:
    case = Case()
    case.accept(0)
    assert [case.refuse(1) for _ in range(50)] == [None] * 50  # what was accepted before says nothing of now
    case.accept(1)
    assert case.refuse(1) == "rejected_422"


@pytest.mark.parametrize("witness", ["picture", "report", None])
def test_any_accepted_request_is_a_witness_telemetry_included(witness: str | None) -> None:
    case = Case()
    assert case.refuse(1) is None
    case.accept(1, witness)
    assert case.refuse(1, Refused(413, Speaker.CLOUD, "x")) == "rejected_413"


def test_the_witness_must_come_between_two_rejections_of_this_very_item() -> None:
    case = Case()
    assert case.refuse(1, name="a") is None
    case.accept(1)
    assert case.refuse(1, name="b") is None
    assert case.refuse(1, WAY, name="a") is None  # the network said that
    assert case.refuse(1, name="a") == "rejected_422"


def test_what_the_network_says_is_no_rejection_however_often_and_whoever_passes() -> None:
    case = Case()
    for status in (400, 413, 415, 422, 403, 404):
        for _ in range(20):
            assert case.refuse(1, Refused(status, Speaker.NETWORK, "page")) is None
            case.accept(1)


def test_a_plain_cloud_is_believed_after_five_refusals_over_an_hour_with_its_stream_confirmed() -> None:
    case = Case()
    assert [case.refuse(HOUR / 4 - 1, plain=True) for _ in range(5)] == [None] * 5
    case.accept(1)
    assert case.refuse(2, plain=True) is None  # an hour and not a second less
    assert case.refuse(1, plain=True, confirmed=False) is None
    assert case.refuse(1, plain=True) == "rejected_422"
    case = Case()
    assert [case.refuse(HOUR, plain=True) for _ in range(4)] == [None] * 4
    assert case.refuse(0.1, plain=True) == "rejected_422"


def test_refused_for_a_day_while_others_passed_ends_in_a_reason_of_its_own() -> None:
    case = Case()
    assert case.refuse(1, WAY) is None
    told = []
    for _ in range(24):
        case.accept(HOUR - 1)
        told.append(case.refuse(1, WAY))
    assert told == [None] * 24  # it counts up to the last that passed: a second less than a day
    assert case.refuse(HOUR, WAY) is None  # nothing passed since
    case.accept(1)
    assert case.refuse(1, WAY) == "refused_on_the_way"


@pytest.mark.parametrize(
    "passing", [[], ["report"], [None]], ids=["nothing passes", "only reports pass", "only telemetry passes"]
)
def test_what_nothing_of_its_kind_passes_by_is_never_given_up(passing: list[str | None]) -> None:
    case = Case()
    for _ in range(24 * 30):
        assert case.refuse(HOUR, WAY) is None
        for kind in passing:
            case.accept(1, kind)
    assert case.known.is_alone("a") is (passing == ["report"])  # yet reports go their way while it waits


def test_a_server_that_fails_is_no_refusal_of_the_item() -> None:
    case = Case()
    for _ in range(100):
        assert case.refuse(HOUR, Refused(500, Speaker.CLOUD, "x")) is None
        case.accept(1)
    assert case.known.is_alone("a")  # and holds up nobody


def test_an_upload_that_is_broken_off_each_time_while_others_pass_is_given_up_after_the_day_all_the_same() -> None:
    cut = Refused(NO_ANSWER, Speaker.NETWORK, "the connection was reset")
    case = Case()
    told = []
    for _ in range(50):
        told.append(case.refuse(1, cut))
        case.known.trouble(case.now)  # as the loop says of every failure of the way
        case.accept(HOUR / 2)
    assert told[:48] == [None] * 48 and "refused_on_the_way" in told


def test_a_report_is_never_given_up() -> None:
    case = Case()
    for _ in range(100):
        for refused in (BAD, WAY):
            assert case.refuse(HOUR, refused, kind="report") is None
            assert case.refuse(HOUR, refused, kind="report", plain=True) is None
        case.accept(1, "report")
    assert case.known.is_alone("a")


def test_days_in_which_everything_failed_count_against_no_item() -> None:
    case = Case()
    case.refuse(1, WAY)
    case.accept(HOUR)
    case.refuse(1, WAY)
    for _ in range(72):  # three days of a portal
        case.now += HOUR
        case.known.trouble(case.now)
    case.accept(1)
    assert case.refuse(1, WAY) is None
    assert case.kept()["a"]["passed_over"] == pytest.approx(HOUR + 1)


def test_it_is_alone_once_others_passed_between_two_refusals() -> None:
    case = Case()
    case.accept(1)
    for _ in range(3):
        case.refuse(1, WAY)
        assert not case.known.is_alone("a")
    assert not case.known.others_pass("a")
    case.accept(1)
    assert case.known.others_pass("a") and not case.known.others_pass("b")
    case.refuse(1, WAY)
    case.refuse(1, WAY, name="b")
    assert case.known.is_alone("a") and not case.known.is_alone("b") and case.known.alone == {"a"}
    assert case.known.done("a") and not case.known.done("a")
    assert not case.known.is_alone("a") and not case.known.alone and case.kept() == {}


def test_a_restart_every_ten_minutes_does_not_keep_the_day_from_ending() -> None:
    kept: dict[str, Any] = {}
    now, told = 1000.0, []
    for _ in range(24 * 6 + 20):
        case = Case(now=now, kept=kept)
        case.refuse(10, WAY)
        case.accept(570)
        told.append(case.refuse(10, WAY))
        kept, now = case.kept(), case.now + 10
    assert "refused_on_the_way" in told
    assert told.index("refused_on_the_way") >= 24 * 6 - 10


def test_a_reboot_keeps_what_was_counted_and_the_time_without_power_is_not() -> None:
    case = Case()
    case.refuse(1, WAY)
    case.accept(23 * HOUR)
    case.refuse(1, WAY)
    case = Case("boot-2", now=5.0, kept=case.kept())
    assert case.refuse(1, WAY) is None
    case.accept(HOUR / 2)
    assert case.refuse(1, WAY) is None
    case.accept(HOUR / 2)
    assert case.refuse(1, WAY) == "refused_on_the_way"


def test_the_rejections_of_an_earlier_boot_still_want_a_witness_of_this_one() -> None:
    case = Case()
    case.refuse(1)
    case = Case("boot-2", now=5.0, kept=case.kept())
    assert case.refuse(1) is None
    case.accept(1)
    assert case.refuse(1) == "rejected_422"
    case = Case("boot-2", now=500.0)
    assert [case.refuse(HOUR / 3, plain=True) for _ in range(3)] == [None] * 3
    case = Case("boot-3", now=5.0, kept=case.kept())
    assert case.refuse(1, plain=True) is None
    assert case.refuse(HOUR / 3 - 1, plain=True) is None
    assert case.refuse(1, plain=True) == "rejected_422"


def test_a_damaged_memory_costs_what_it_held_and_no_more() -> None:
    case = Case()
    case.refuse(1)
    whole = case.kept()
    broken: dict[str, Any] = {
        "b": {**whole["a"], "last": "soon"},
        "c": {"boot_id": "x"},
        "d": {**whole["a"], "last": -1},
        "e": {**whole["a"], "more": 1},
    }
    assert Case(kept={**broken, **whole}).kept() == whole


def test_what_all_meet_alike_is_not_worth_a_write() -> None:
    case = Case()
    for name in "abc":
        case.refuse(1, WAY, name=name)
    assert case.kept() == {}
    case.accept(1)
    case.refuse(1, WAY, name="b")
    case.refuse(1, BAD, name="c")
    assert case.kept().keys() == {"b", "c"}


def test_it_remembers_three_hundred_items_and_forgets_the_oldest_first() -> None:
    case = Case()
    for number in range(KEPT + 10):
        case.refuse(1, name=str(number))
    assert list(case.kept()) == [str(number) for number in range(10, KEPT + 10)]


def test_the_day_is_over_to_the_second_and_the_detail_says_how_long_it_was_and_what_was_answered() -> None:
    case = Case()
    case.refuse(0, WAY)
    case.accept(DAY)
    told = case.known.refused("a", "picture", WAY, case.now + 1, plain=False, confirmed=True)
    assert told is not None and told.detail == "refused for 24 h while others passed: HTTP 403: <html>"
    case = Case()
    case.refuse(0, WAY)
    case.accept(DAY - 0.001)
    assert case.refuse(1, WAY) is None


def test_what_is_accepted_in_the_very_moment_of_a_refusal_came_before_it() -> None:
    case = Case()
    case.refuse(1)
    case.accept(0)
    assert not case.known.others_pass("a")
    assert case.refuse(1) is None and not case.known.is_alone("a")


def test_what_is_forgotten_is_alone_no_more() -> None:
    case = Case()
    case.refuse(1, WAY)
    case.accept(1)
    case.refuse(1, WAY)
    assert case.known.alone == {"a"}
    for number in range(300):
        case.refuse(1, name=str(number))
    assert not case.known.alone and len(case.kept()) == 300


def test_a_day_that_an_earlier_process_counted_ends_at_the_next_refusal_that_others_pass_by() -> None:
    case = Case()
    case.refuse(1, WAY)
    case.accept(1)
    case.refuse(1, WAY)
    kept = case.kept()
    kept["a"]["passed_over"] = DAY
    case = Case(kept=kept)
    case.now += 100
    assert case.refuse(1, WAY) is None
    case.accept(1)
    assert case.refuse(1, WAY) == "refused_on_the_way"
