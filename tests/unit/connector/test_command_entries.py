from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_connector.cloud_clock import CloudClock
from visant_connector.command_entries import Scope, admittable, deadline
from visant_contract.command import CaptureCommand, UnknownCommand, UpdateConfigCommand
from visant_contract.errors import BrokenMessage
from visant_contract.stream import CommandEntry
from visant_runtime.clock import Moment

CLOUD_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TTL = 300.0
SCOPE = Scope("cloud-1", plain=False)


def moment(*, wall: datetime = CLOUD_NOW, synchronised: bool = False) -> Moment:
    return Moment("boot-1", 1000.0, wall, synchronised)


def knowing() -> CloudClock:
    clock = CloudClock()
    clock.heard(CLOUD_NOW.timestamp(), 1000.0)
    return clock


def test_expiry_counts_by_the_clouds_clock_however_wrong_the_pis_is() -> None:
    for wall in (datetime(1970, 1, 1, tzinfo=UTC), CLOUD_NOW, CLOUD_NOW + timedelta(days=1)):
        for synchronised in (True, False):
            now = moment(wall=wall, synchronised=synchronised)
            assert deadline(CLOUD_NOW + timedelta(seconds=60), None, now, knowing(), TTL) == (1060.0, True)


def test_a_command_that_is_late_already_is_admitted_with_a_deadline_in_the_past() -> None:
    until, _ = deadline(CLOUD_NOW - timedelta(seconds=60), None, moment(), knowing(), TTL)
    assert until == 940.0


def test_without_expires_at_a_command_lives_its_ttl_from_its_arrival() -> None:
    assert deadline(None, None, moment(), knowing(), TTL) == (1300.0, False)
    assert deadline(None, None, moment(), CloudClock(), TTL) == (1300.0, False)


def test_a_replayed_command_without_expires_at_lives_from_when_it_was_issued() -> None:
    issued = CLOUD_NOW - timedelta(seconds=100)
    assert deadline(None, issued, moment(), knowing(), TTL) == (1200.0, True)


def test_issued_in_the_future_gives_no_longer_life() -> None:
    assert deadline(None, CLOUD_NOW + timedelta(days=1), moment(), knowing(), TTL)[0] == 1300.0


def test_issued_at_of_a_cloud_that_tells_no_time_says_nothing() -> None:
    assert deadline(None, CLOUD_NOW - timedelta(days=1), moment(), CloudClock(), TTL) == (1300.0, False)


def test_expires_at_of_a_cloud_that_tells_no_time_needs_a_synchronised_wall_clock() -> None:
    expires = CLOUD_NOW + timedelta(seconds=60)
    assert deadline(expires, None, moment(synchronised=True), CloudClock(), TTL) == (1060.0, True)
    assert deadline(expires, None, moment(synchronised=False), CloudClock(), TTL) == (1300.0, False)


@given(
    st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
    st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
    st.booleans(),
    st.booleans(),
)
def test_any_times_make_a_deadline_that_redis_can_carry(
    expires: datetime | None, issued: datetime | None, synchronised: bool, told: bool
) -> None:
    command = CaptureCommand(trigger_id="t", expires_at=expires, issued_at=issued)
    clock = knowing() if told else CloudClock()
    found = admittable(command, SCOPE, moment(synchronised=synchronised), clock, TTL)
    assert found is not None
    assert CommandEntry.model_validate_json(found.entry.model_dump_json()) == found.entry


def test_a_capture_becomes_an_entry_with_all_it_said() -> None:
    command = CaptureCommand(trigger_id="t", type="scheduled", issued_at=CLOUD_NOW, expires_at=CLOUD_NOW)
    found = admittable(command, SCOPE, moment(), knowing(), TTL)
    assert found is not None
    entry = found.entry
    assert (entry.kind, entry.cmd, entry.trigger_id, entry.trigger_type) == ("capture", "capture", "t", "scheduled")
    assert (entry.cloud_id, entry.plain, entry.deadline.boot_id) == ("cloud-1", False, "boot-1")
    assert (entry.issued_at, entry.expires_at) == (CLOUD_NOW, CLOUD_NOW)


def test_the_same_trigger_of_another_cloud_is_another_trigger() -> None:
    command = CaptureCommand(trigger_id="t")
    one = admittable(command, SCOPE, moment(), knowing(), TTL)
    other = admittable(command, Scope("cloud-2", plain=False), moment(), knowing(), TTL)
    assert one is not None
    assert other is not None
    assert one.key != other.key


def test_settings_without_a_trigger_are_admitted_and_not_remembered() -> None:
    found = admittable(UpdateConfigCommand(config={"a": 1}), SCOPE, moment(), knowing(), TTL)
    assert found is not None
    assert found.key is None
    assert (found.entry.kind, found.entry.config) == ("update_config", {"a": 1})


@pytest.mark.parametrize("trigger_id", ["manual_FLOOR1_20261122_140530_123456", "../" * 100, "ü" * 300])
def test_an_unknown_command_with_a_trigger_is_admitted_to_be_answered(trigger_id: str) -> None:
    found = admittable(UnknownCommand(cmd="dance", trigger_id=trigger_id), SCOPE, moment(), knowing(), TTL)
    assert found is not None
    assert (found.entry.kind, found.entry.cmd, found.entry.broken) == ("unknown", "dance", None)
    assert found.key is not None
    assert len(found.key) == 64


def test_a_broken_command_with_a_trigger_says_why_it_is_broken() -> None:
    broken = BrokenMessage("expires_at: no time", cmd="capture", trigger_id="t")
    found = admittable(broken, SCOPE, moment(), knowing(), TTL)
    assert found is not None
    assert (found.entry.kind, found.entry.cmd, found.entry.broken) == ("unknown", "capture", "expires_at: no time")


@pytest.mark.parametrize("command", [UnknownCommand(cmd="dance"), BrokenMessage("no JSON")])
def test_what_names_no_trigger_and_cannot_be_followed_is_left_out(command: UnknownCommand | BrokenMessage) -> None:
    assert admittable(command, SCOPE, moment(), knowing(), TTL) is None


def test_a_command_issued_just_now_or_later_lives_its_five_minutes() -> None:
    for later, until in ((-0.5, 1299.5), (0.0, 1300.0), (0.5, 1300.0)):
        assert deadline(None, CLOUD_NOW + timedelta(seconds=later), moment(), knowing(), TTL) == (until, True)


def test_expires_at_counts_before_issued_at() -> None:
    issued, expires = CLOUD_NOW - timedelta(seconds=100), CLOUD_NOW + timedelta(seconds=900)
    assert deadline(expires, issued, moment(), knowing(), TTL) == (1900.0, True)
    assert deadline(expires, issued, moment(), CloudClock(), TTL) == (1300.0, False)


def test_expires_at_by_the_pis_own_clock_may_lie_in_the_past() -> None:
    expires = CLOUD_NOW - timedelta(seconds=60)
    assert deadline(expires, None, moment(synchronised=True), CloudClock(), TTL) == (940.0, True)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("synchronised", [True, False])
def test_an_entry_remembers_cloud_and_clocks_of_its_admission(plain: bool, synchronised: bool) -> None:
    now = moment(wall=CLOUD_NOW + timedelta(days=1), synchronised=synchronised)
    found = admittable(CaptureCommand(trigger_id="t"), Scope("cloud-1", plain), now, knowing(), TTL)
    assert found is not None
    entry = found.entry
    assert (entry.plain, entry.admitted_wall, entry.admitted_synchronised) == (plain, now.wall, synchronised)
    assert (entry.deadline.boot_id, entry.admitted_boottime) == (now.boot_id, now.boottime)
    assert (entry.deadline.boottime, found.from_the_cloud) == (1300.0, False)
    assert (entry.trigger_type, entry.config, entry.broken) == ("manual", None, None)


@pytest.mark.parametrize("kind", [CaptureCommand, UnknownCommand])
def test_expires_at_of_a_command_with_a_trigger_is_its_deadline(
    kind: type[CaptureCommand] | type[UnknownCommand],
) -> None:
    command = kind(cmd="capture", trigger_id="t", expires_at=CLOUD_NOW + timedelta(seconds=60))
    found = admittable(command, SCOPE, moment(), knowing(), TTL)
    assert found is not None
    assert (found.entry.deadline.boottime, found.from_the_cloud) == (1060.0, True)
    assert found.entry.expires_at == command.expires_at


def test_settings_with_a_trigger_are_remembered_so_that_a_replay_does_not_set_them_again() -> None:
    found = admittable(UpdateConfigCommand(trigger_id="t", config={"a": 1}), SCOPE, moment(), knowing(), TTL)
    assert found is not None
    assert found.key is not None
    assert (found.entry.cmd, found.entry.issued_at, found.entry.expires_at) == ("update_config", None, None)
    assert (found.entry.deadline.boottime, found.from_the_cloud) == (1300.0, False)


def test_a_broken_command_without_a_word_for_it_is_answered_too() -> None:
    found = admittable(BrokenMessage("no word", trigger_id="t"), SCOPE, moment(), knowing(), TTL)
    assert found is not None
    assert (found.entry.cmd, found.entry.config, found.entry.trigger_type) == ("", None, "manual")
