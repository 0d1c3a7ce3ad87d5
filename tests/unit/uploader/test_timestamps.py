"""When was it?"""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.uploader.conftest import Make
from visant_uploader.timestamps import Offset, at_exposure, best


def offset_of(moment_of_cloud: datetime, boottime: float, boot_id: str = "boot-1") -> Offset:
    return Offset(boot_id, moment_of_cloud.timestamp() - boottime)


def test_the_wall_time_of_the_exposure_lies_before_now_by_the_same_seconds(make: type[Make]) -> None:
    time = at_exposure(990.0, make.moment(1000.0))
    assert time.wall == make.noon - timedelta(seconds=10)
    assert time.boottime == 990.0 and time.uncertainty is not None


def test_a_synchronised_clock_that_agrees_with_the_cloud_is_kept(make: type[Make]) -> None:
    at, time = best(make.time(), offset_of(make.noon + timedelta(seconds=1), 990), make.moment())
    assert at == make.noon and not time.corrected and time.uncertainty is not None


def test_a_clock_a_day_off_is_corrected_by_the_clouds_even_when_it_claims_to_be_synchronised(make: type[Make]) -> None:
    for days in (-1, 1):
        truth = make.noon + timedelta(days=days)
        at, time = best(make.time(), offset_of(truth, 990), make.moment())
        assert abs(at - truth) < timedelta(milliseconds=1)
        assert time.corrected and time.wall == make.noon


def test_a_clock_set_later_in_the_same_boot_corrects_it(make: type[Make]) -> None:
    taken = make.time(synchronised=False, wall=datetime(1970, 1, 1, tzinfo=UTC))
    at, time = best(taken, None, make.moment(1000.0))
    assert at == make.noon - timedelta(seconds=10)
    assert time.corrected and time.uncertainty is not None


def test_a_picture_of_an_earlier_boot_without_any_clock_says_that_it_does_not_know(make: type[Make]) -> None:
    taken = make.time(synchronised=False, boot_id="boot-0")
    at, time = best(taken, offset_of(make.noon, 990), make.moment())
    assert at == taken.wall and not time.corrected and time.uncertainty is None


def test_a_picture_of_an_earlier_boot_is_corrected_by_the_offset_kept_with_it(make: type[Make]) -> None:
    taken = make.time(synchronised=False, boot_id="boot-0")
    truth = make.noon + timedelta(hours=3)
    at, time = best(taken, offset_of(truth, 990, "boot-0"), make.moment())
    assert abs(at - truth) < timedelta(milliseconds=1) and time.corrected


@pytest.mark.parametrize("seconds", [1e12, -1e12, 1e300, float("inf"), float("nan")])
def test_a_cloud_whose_clock_shows_no_date_is_not_believed(make: type[Make], seconds: float) -> None:
    at, time = best(make.time(synchronised=False), Offset("boot-1", seconds), make.moment())
    assert at == make.noon and not time.corrected


@pytest.mark.parametrize(("synchronised", "uncertainty"), [(True, 1.0), (False, None)])
def test_a_clock_that_nobody_set_has_an_unknown_uncertainty(
    make: type[Make], synchronised: bool, uncertainty: float
) -> None:
    time = at_exposure(990.0, make.moment(1000.0, synchronised=synchronised))
    assert (time.synchronised, time.uncertainty, time.corrected) == (synchronised, uncertainty, False)
    _, kept = best(time, None, make.moment(1000.0, synchronised=False))
    assert (kept.uncertainty, kept.corrected) == (uncertainty, False)


@pytest.mark.parametrize(
    ("ahead", "kept"), [(-2.001, False), (-2.0, True), (0.0, True), (2.0, True), (2.001, False), (3.0, False)]
)
def test_a_synchronised_clock_is_kept_within_two_seconds_of_the_clouds(
    make: type[Make], ahead: float, kept: bool
) -> None:
    truth = make.noon + timedelta(seconds=ahead)
    at, time = best(make.time(boottime=0.0), offset_of(truth, 0.0), make.moment())
    assert at == (make.noon if kept else truth)
    assert (time.corrected, time.uncertainty) == (not kept, 1.0)


def test_a_clock_that_nobody_set_gives_way_to_the_clouds_even_where_they_agree(make: type[Make]) -> None:
    at, time = best(make.time(boottime=0.0, synchronised=False), offset_of(make.noon, 0.0), make.moment())
    assert (at, time.corrected, time.uncertainty) == (make.noon, True, 1.0)


@pytest.mark.parametrize("boot_id", ["boot-0", "boot-1"])
def test_a_clock_that_was_set_when_the_picture_was_taken_is_not_corrected_by_a_later_one(
    make: type[Make], boot_id: str
) -> None:
    at, time = best(make.time(boot_id=boot_id), None, make.moment(1000.0, wall=make.noon + timedelta(hours=1)))
    assert (at, time.corrected, time.uncertainty) == (make.noon, False, 1.0)


@pytest.mark.parametrize(
    ("taken_in", "now_synchronised"),
    [("boot-0", True), ("boot-1", False)],  # another boot's seconds say nothing; a clock that is still not set neither
)
def test_only_a_clock_set_in_the_same_boot_corrects_it(make: type[Make], taken_in: str, now_synchronised: bool) -> None:
    taken = make.time(synchronised=False, boot_id=taken_in)
    now = make.moment(1000.0, wall=make.noon + timedelta(hours=1), synchronised=now_synchronised)
    at, time = best(taken, None, now)
    assert (at, time.corrected, time.uncertainty) == (make.noon, False, None)


def test_a_clock_set_later_is_as_sure_as_one_that_was_set_before(make: type[Make]) -> None:
    _, time = best(make.time(synchronised=False), None, make.moment(1000.0))
    assert (time.corrected, time.uncertainty) == (True, 1.0)


def test_an_offset_of_another_boot_is_not_added_to_this_ones_seconds(make: type[Make]) -> None:
    at, time = best(make.time(), offset_of(make.noon + timedelta(hours=3), 990, "boot-0"), make.moment())
    assert (at, time.corrected) == (make.noon, False)
