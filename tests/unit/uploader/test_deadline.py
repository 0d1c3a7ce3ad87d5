"""May it be executed now?"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.uploader.conftest import Make
from visant_contract.outcome import Reason
from visant_contract.stream import Deadline
from visant_uploader.capture.deadline import Execute, Expire, Park, check_deadline


def said(entry: Any, now: Any, *, renewed: Any = None, latest: Any = None, first: Any = None, ttl: Any = 300.0) -> Any:
    return check_deadline(entry, renewed, now, latest_connected=latest, first_connected=first, ttl=ttl)


def test_before_its_deadline_it_is_executed_until_then(make: type[Make]) -> None:
    assert said(make.entry(deadline=1100), make.moment(1099.9)) == Execute(1100)


def test_after_its_deadline_it_expires(make: type[Make]) -> None:
    decision = said(make.entry(deadline=1100), make.moment(1100))
    assert isinstance(decision, Expire) and decision.reason == Reason.DEADLINE_PASSED


def test_a_wall_clock_a_day_off_changes_nothing_within_a_boot(make: type[Make]) -> None:
    for days in (-1, 1):
        now = make.moment(1050, wall=make.noon + timedelta(days=days))
        assert said(make.entry(deadline=1100), now) == Execute(1100)
        assert said(make.entry(deadline=1100, plain=True), now) == Execute(1100)


def test_a_renewed_deadline_of_this_boot_wins(make: type[Make]) -> None:
    renewed = Deadline(boot_id="boot-1", boottime=1500)
    assert said(make.entry(deadline=1100), make.moment(1200), renewed=renewed) == Execute(1500)
    assert said(make.entry(boot_id="boot-0"), make.moment(1200), renewed=renewed) == Execute(1500)


def test_a_renewal_of_an_earlier_boot_says_nothing(make: type[Make]) -> None:
    renewed = Deadline(boot_id="boot-0", boottime=99999)
    assert said(make.entry(boot_id="boot-0"), make.moment(), renewed=renewed) == Park()


def test_of_an_earlier_boot_it_waits_for_its_cloud(make: type[Make]) -> None:
    entry = make.entry(deadline=5000, boot_id="boot-0")
    assert said(entry, make.moment(1000)) == Park()
    assert said(entry, make.moment(1000), latest=991, first=991) == Park()


def test_of_an_earlier_boot_it_expires_ten_seconds_after_connected(make: type[Make]) -> None:
    decision = said(make.entry(boot_id="boot-0"), make.moment(1000), latest=990, first=990)
    assert isinstance(decision, Expire) and decision.reason == Reason.REBOOTED


def test_a_stream_that_never_stays_does_not_park_it_for_ever(make: type[Make]) -> None:
    entry = make.entry(boot_id="boot-0")
    assert said(entry, make.moment(1000), latest=996, first=950) == Park()
    assert isinstance(said(entry, make.moment(1000), latest=996, first=940), Expire)


def test_a_plain_clouds_command_is_judged_by_the_wall_clock_after_a_restart(make: type[Make]) -> None:
    entry = make.entry(boot_id="boot-0", plain=True)
    now = make.moment(50, wall=make.noon + timedelta(seconds=120))
    assert said(entry, now) == Execute(50 + 180)
    late = make.moment(50, wall=make.noon + timedelta(seconds=301))
    decision = said(entry, late)
    assert isinstance(decision, Expire) and decision.reason == Reason.REBOOTED


@pytest.mark.parametrize(
    ("entry", "now"),
    [
        ({"admitted_synchronised": False}, {}),
        ({}, {"synchronised": False}),
        ({}, {"wall": "before"}),
    ],
)
def test_a_wall_clock_that_cannot_be_trusted_is_not_asked(
    make: type[Make], entry: dict[str, Any], now: dict[str, Any]
) -> None:
    if now.get("wall") == "before":
        now = {"wall": make.noon - timedelta(seconds=5)}
    parked = make.entry(boot_id="boot-0", plain=True, **entry)
    assert said(parked, make.moment(1000, **now)) == Park()
    assert isinstance(said(parked, make.moment(1000, **now), latest=980, first=980), Expire)


def test_how_late_it_was_is_said(make: type[Make]) -> None:
    decision = said(make.entry(deadline=1100), make.moment(1102.5))
    assert decision == Expire(Reason.DEADLINE_PASSED, "2.5 s after the deadline")


def aged(make: type[Make], seconds: Any, **more: Any) -> Any:
    """The decision on a plain cloud's command of an earlier boot, at 50 s of this one, so long after its admission."""
    entry = make.entry(boot_id="boot-0", plain=True, **more)
    return said(entry, make.moment(50, wall=make.noon + timedelta(seconds=seconds)))


@pytest.mark.parametrize(("age", "until"), [(0, 350), (0.5, 349.5), (299, 51)])
def test_after_a_restart_a_plain_clouds_command_lives_for_the_rest_of_its_five_minutes(
    make: type[Make], age: Any, until: Any
) -> None:
    assert aged(make, age) == Execute(until)


@pytest.mark.parametrize("age", [300, 301])
def test_after_a_restart_a_plain_clouds_command_of_five_minutes_is_too_old(make: type[Make], age: Any) -> None:
    assert aged(make, age) == Expire(Reason.REBOOTED, f"{age} s old after a restart, valid for 300 s")


@pytest.mark.parametrize(("valid", "until"), [(40, 80), (300, 340), (900, 340)])
def test_expires_at_shortens_the_life_of_a_plain_clouds_command_and_never_lengthens_it(
    make: type[Make], valid: Any, until: Any
) -> None:
    assert aged(make, 10, expires_at=make.noon + timedelta(seconds=valid)) == Execute(until)


def test_after_a_restart_it_is_too_old_at_its_expires_at(make: type[Make]) -> None:
    decision = aged(make, 40, expires_at=make.noon + timedelta(seconds=40))
    assert decision == Expire(Reason.REBOOTED, "40 s old after a restart, valid for 40 s")


def test_a_cloud_of_ours_is_waited_for_even_where_the_wall_clock_could_judge(make: type[Make]) -> None:
    entry = make.entry(boot_id="boot-0", plain=False)
    assert said(entry, make.moment(50, wall=make.noon + timedelta(days=1))) == Park()


@pytest.mark.parametrize(
    ("latest", "first", "waits"),
    [
        (None, None, True),
        (990.1, 990.1, True),
        (990.0, 990.0, False),  # ten seconds after `connected`
        (None, 940.1, True),
        (None, 940.0, False),  # sixty after the first one, however often streams broke since
        (990.0, None, False),
    ],
)
def test_the_cloud_has_ten_seconds_to_ask_again_and_broken_streams_sixty(
    make: type[Make], latest: Any, first: Any, waits: Any
) -> None:
    decision = said(make.entry(boot_id="boot-0"), make.moment(1000), latest=latest, first=first)
    assert isinstance(decision, Park if waits else Expire)


@settings(deadline=None)
@given(
    deadline=st.floats(0, 1e6),
    now=st.floats(0, 1e6),
    same_boot=st.booleans(),
    plain=st.booleans(),
    renewed=st.none() | st.floats(0, 1e6),
    latest=st.none() | st.floats(0, 1e6),
    age=st.floats(-1e5, 1e5),
)
def test_nothing_is_executed_late_and_nothing_waits_once_the_cloud_has_spoken(
    deadline: float, now: float, same_boot: bool, plain: bool, renewed: float | None, latest: float | None, age: float
) -> None:

    from visant_contract.stream import CommandEntry
    from visant_runtime.clock import Moment

    wall = datetime(2026, 1, 1, tzinfo=UTC)
    entry = CommandEntry(
        cloud_id="c",
        plain=plain,
        kind="capture",
        cmd="capture",
        trigger_id="t",
        admitted_wall=wall,
        admitted_synchronised=True,
        deadline=Deadline(boot_id="b1" if same_boot else "b0", boottime=deadline),
    )
    moment = Moment("b1", now, wall + timedelta(seconds=age), True)
    renewal = None if renewed is None else Deadline(boot_id="b1", boottime=renewed)
    decision = said(entry, moment, renewed=renewal, latest=latest, first=latest)
    if isinstance(decision, Execute):
        assert decision.until > now
        assert same_boot or renewed is not None or plain
    if isinstance(decision, Park):
        assert not same_boot and renewed is None
        assert latest is None or now - latest < 10
