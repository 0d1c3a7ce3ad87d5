"""When may the next upload begin?"""

from random import Random

from tests.support.chance import Longest
from visant_contract.errors import Misconfigured, Retryable
from visant_uploader.delivery.pace import SIDE_BY_SIDE, DeliveryPace


def test_two_uploads_run_side_by_side_and_no_more() -> None:
    pace = DeliveryPace(Random(1))
    assert [pace.allowed(0, busy) for busy in range(4)] == [2, 1, 0, 0]
    assert [pace.full(busy) for busy in range(4)] == [False, False, True, True]


def test_in_trouble_all_wait_and_then_one_probes() -> None:
    pace = DeliveryPace(Random(1))
    seconds = pace.failed(Misconfigured("http_401", "x"), now=100)
    assert pace.allowed(100 + seconds - 1, 0) == 0
    assert pace.allowed(100 + seconds, 0) == 1 and pace.full(1)
    pace.went_well()
    assert pace.allowed(100, 0) == SIDE_BY_SIDE


def test_waking_asks_again_at_once_with_one_upload() -> None:
    pace = DeliveryPace(Random(1))
    pace.failed(Retryable("x", retry_after=3600), now=0)
    pace.wake()
    assert pace.allowed(0, 0) == 1


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
    for well_again in (pace.went_well, pace.wake, pace.went_well):
        assert [pace.failed(Retryable("x"), now=0) for _ in range(10)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
        well_again()
        assert pace.next_due() == 0


def test_after_a_receipt_two_go_again_at_once() -> None:
    pace = DeliveryPace(Longest())
    pace.failed(Retryable("x", retry_after=600), now=0)
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
