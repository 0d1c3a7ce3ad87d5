"""When may the next upload begin?"""

from random import Random

from visant_contract.errors import Misconfigured, Retryable
from visant_uploader.delivery.pace import SIDE_BY_SIDE, DeliveryPace


def test_two_uploads_run_side_by_side_and_no_more() -> None:
    pace = DeliveryPace(Random(1))
    assert [pace.allowed(0, busy) for busy in range(4)] == [SIDE_BY_SIDE, 1, 0, 0]


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
