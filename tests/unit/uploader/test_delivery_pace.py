"""When may the next upload begin?"""

from functools import partial
from random import Random

from tests.support.chance import Longest
from visant_contract.errors import Retryable
from visant_uploader.delivery.pace import SIDE_BY_SIDE, WAKES, DeliveryPace
from visant_uploader.delivery.retry_policy import Refused, Speaker

NO = Refused(403, Speaker.NETWORK, "x")


def test_two_uploads_run_side_by_side_and_no_more() -> None:
    pace = DeliveryPace(Random(1))
    assert [pace.allowed(0, busy) for busy in range(4)] == [2, 1, 0, 0]
    assert [pace.full(busy) for busy in range(4)] == [False, False, True, True]


def test_in_trouble_all_wait_and_then_one_probes() -> None:
    pace = DeliveryPace(Random(1))
    seconds = pace.failed(Refused(401, Speaker.CLOUD, "x"), now=100)
    assert pace.allowed(100 + seconds - 1, 0) == 0
    assert pace.allowed(100 + seconds, 0) == 1 and pace.full(1)
    pace.went_well()
    assert pace.allowed(100, 0) == SIDE_BY_SIDE


def test_waking_asks_again_at_once_with_one_upload() -> None:
    pace = DeliveryPace(Longest())
    pace.failed(Retryable("x"), now=0)
    assert pace.wake(0)
    assert pace.allowed(0, 0) == 1


def test_a_wait_that_was_asked_for_is_kept_whatever_streams_are_confirmed_and_receipts_come() -> None:
    pace = DeliveryPace(Longest())
    pace.failed(Retryable("x", retry_after=3600), now=0)
    for now in range(0, 3600, 2):
        pace.wake(now)
        assert pace.allowed(now, 0) == 0
    pace.went_well()  # of an upload that had begun before
    assert [pace.allowed(now, 0) for now in (3599, 3600)] == [0, SIDE_BY_SIDE]


def test_streams_that_are_confirmed_every_two_seconds_wake_once_a_minute() -> None:
    pace = DeliveryPace(Longest())
    woken = [now for now in range(0, 600, 2) if pace.wake(now)]
    assert len(woken) == WAKES + 9 or len(woken) == WAKES + 10
    assert woken[:WAKES] == [0, 2, 4, 6, 8]
    assert all(later - sooner >= 50 for sooner, later in zip(woken[WAKES:], woken[WAKES + 1 :], strict=False))
    assert pace.wake(5000)  # one that holds means something again


def test_one_refused_item_holds_up_no_other_and_a_second_one_holds_up_all() -> None:
    pace = DeliveryPace(Longest())
    assert pace.refused("a", NO, now=0) is None
    assert pace.refused("a", NO, now=1) is None
    assert (pace.allowed(1, 0), pace.trouble) == (2, None)
    assert pace.refused("b", NO, now=2) == 1.0
    assert pace.trouble is NO
    assert [pace.allowed(now, 0) for now in (2.9, 3)] == [0, 1]
    assert pace.refused("c", NO, now=3) == 2.0


def test_an_accepted_item_between_two_refused_ones_clears_the_endpoint() -> None:
    pace = DeliveryPace(Longest())
    for name in "abcdef":
        assert pace.refused(name, NO, now=0) is None
        pace.went_well()


def test_a_second_failure_never_shortens_the_wait_of_the_first() -> None:
    pace = DeliveryPace(Random(1))
    pace.failed(Retryable("x", retry_after=600), now=0)
    pace.failed(Retryable("timeout"), now=1)
    assert pace.allowed(599, 0) == 0


def test_waits_grow_with_each_failure_and_begin_anew_after_a_success() -> None:
    def mean_wait(failures: int) -> float:
        sums = 0.0
        for seed in range(200):
            pace = DeliveryPace(Random(seed))
            for _ in range(failures):
                last = pace.failed(Retryable("x"), now=0)
            sums += last
        return sums / 200

    assert mean_wait(1) < mean_wait(4) < mean_wait(12) <= 300


def test_waits_double_from_one_second_and_begin_anew_after_a_receipt_or_a_confirmed_stream() -> None:
    pace = DeliveryPace(Longest())
    for well_again in (pace.went_well, partial(pace.wake, 0), pace.went_well):
        assert [pace.failed(Retryable("x"), now=0) for _ in range(10)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
        well_again()
        assert pace.next_due() == 0


def test_after_a_receipt_two_go_again_at_once() -> None:
    pace = DeliveryPace(Longest())
    pace.failed(Retryable("x"), now=0)
    pace.went_well()
    assert pace.trouble is None
    assert pace.allowed(0, 0) == 2


def test_in_trouble_one_probes_and_a_second_one_waits_for_it() -> None:
    pace = DeliveryPace(Longest())
    failure = Retryable("x")
    pace.failed(failure, now=100)
    assert pace.trouble is failure
    assert pace.next_due() == 101
    assert [pace.allowed(now, 0) for now in (100.9, 101)] == [0, 1]
    assert (pace.allowed(101, 1), pace.full(0), pace.full(1)) == (0, False, True)
