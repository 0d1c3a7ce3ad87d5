"""What `make bench-alerts` makes of faults and messages."""

import math

import pytest

from tests.bench.alerts import mix
from tests.bench.alerts.findings import Found, Record, Said, judged
from tests.bench.alerts.mix import MIX, Fault
from tests.bench.alerts.month import Month, sites_of

BY_NAME = {cause.name: cause for cause in MIX}


def fault(name: str, begin: float, end: float, *devices: str) -> Fault:
    return Fault(BY_NAME[name], devices or ("C000",), begin, end)


def found(faults: list[Fault], *said: Said) -> Found:
    return judged(Record(10, mix.DAY, faults, list(said), opened=len(said)))


def test_a_dead_camera_that_is_told_is_an_incident_with_its_wait() -> None:
    one = found([fault("the camera is dead", 1000, 9000)], Said("C000", "camera", 1070, 1075))
    assert (one.waits, one.false, one.needless, one.incidents, one.opened) == ((75.0,), 0, 0, 1, 1.0)


def test_what_nobody_was_told_of_waits_for_ever_unless_the_alert_before_it_is_still_open() -> None:
    dead = fault("the camera is dead", 1000, 9000)
    assert found([dead]).waits == (math.inf,)
    assert found([dead], Said("C000", "camera", 1070, None)).waits == (math.inf,)
    again = fault("the camera is dead", 9100, 20000)
    assert found([dead, again], Said("C000", "camera", 1070, 1075)).waits == (75.0,)


@pytest.mark.parametrize("name", ["a reconnect", "the router restarts"])
def test_whoever_is_told_of_noise_or_of_nothing_is_told_something_false(name: str) -> None:
    assert found([fault(name, 1000, 1170)], Said("C000", "silent", 1190, 1200)).false == 1
    assert found([fault("the site's link is down", 1000, 2000)], Said("C001", "silent", 1190, 1200)).false == 1
    short = found([fault("the site's link is down", 1000, 1250)], Said("C000", "silent", 1190, 1200))
    assert (short.false, short.needless, short.waits) == (0, 1, ())


def test_a_month_is_the_same_with_its_seed_and_another_with_another() -> None:
    sites = sites_of(20)
    assert len(sites) == 4 and sum(map(len, sites.values())) == 20
    assert mix.happen(1, sites, 5 * mix.DAY) == mix.happen(1, sites, 5 * mix.DAY) != mix.happen(2, sites, 5 * mix.DAY)
    often = mix.happen(1, sites, 5 * mix.DAY, rate=20.0)
    usual = mix.happen(1, sites, 5 * mix.DAY)
    noise, faults = (
        [[one.cause.noise for one in run].count(is_noise) for run in (often, usual)] for is_noise in (True, False)
    )
    assert noise[0] == noise[1] and faults[0] > 5 * faults[1], (noise, faults)


def test_faults_go_through_the_engine_and_the_plan_and_each_dead_one_is_told_in_time() -> None:
    run = Month(1, 10, 0.25, rate=60.0).run()
    one = judged(run)
    assert len(one.waits) >= 3 and max(one.waits) <= 300.0, one.waits
    assert one.false == 0 and run.opened >= 1
