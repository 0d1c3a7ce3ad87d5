"""AlertEngine: when alerts open and clear, on a clock of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visant_cloud.alerts import kinds
from visant_cloud.alerts.engine import AlertEngine, Change, Head, Key, Opened, Told
from visant_cloud.alerts.kinds import KINDS
from visant_cloud.alerts.rules import Rules
from visant_cloud.alerts.states import SILENCE, STALE, Cause, Ended

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEAD = {"camera": {"state": "camera_absent"}}
FINE = {"camera": {"state": "ok"}}
ROUND = 5.0


class Watch:
    """An engine, its devices and the alerts that are open, driven round by round."""

    def __init__(self, *devices: str, rules: Rules | None = None) -> None:
        self.engine = AlertEngine()
        self.at = 1000.0
        self.step_of_the_clock = timedelta()
        self.told = {name: Told(Head(name, "default", None, True, 0), last_seen_at=START) for name in devices}
        self.connected = set(devices)
        self.open: set[Key] = set()
        self.log: list[tuple[float, str, str, str]] = []
        self.rules = {} if rules is None else {"default": rules}
        self.others: dict[Key, Cause] = {}

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.at - 1000) + self.step_of_the_clock

    def say(self, name: str, telemetry: dict[str, Any]) -> None:
        self._change(name, telemetry=telemetry, telemetry_at=self.now)

    def end(self, name: str, *statuses: str) -> None:
        """Triggers end so, one after the other."""
        before = self.told[name].outcomes
        seq = before[-1].seq if before else 0
        more = [Ended(seq + n, one, "device_silent" if one == "expired" else None) for n, one in enumerate(statuses, 1)]
        self._change(name, outcomes=(*before, *more))

    def _change(self, name: str, **values: Any) -> None:
        old = self.told[name]
        head = old.head._replace(changes=old.head.changes + 1)
        self.told[name] = Told(**{**vars(old), "head": head, **values})

    def bar(self, name: str) -> None:
        old = self.told[name]
        self.told[name] = Told(**{**vars(old), "head": old.head._replace(active=False)})
        self.connected.discard(name)

    def round(self, stored: bool = True) -> list[Change]:
        wanted = self.engine.unknown([one.head for one in self.told.values()])
        read = [self.told[name] for name in wanted]
        found = self.engine.step(self.now, self.at, read, self.connected, self.open, self.rules, self.others)
        for change in found if stored else []:
            assert isinstance(change, Opened) == (change.key not in self.open)
            self.open ^= {change.key}
            word = "opened" if isinstance(change, Opened) else "cleared"
            self.log.append((self.at - 1000, change.key.subject, change.key.kind, word))
        return found

    def pass_(self, seconds: float) -> None:
        end = self.at + seconds
        while self.at < end:
            self.at += ROUND
            self.round()

    @property
    def words(self) -> list[str]:
        return [f"{subject} {kind} {word}" for _, subject, kind, word in self.log]


def watch(*devices: str, **more: Any) -> Watch:
    one = Watch(*(devices or ("D1",)), **more)
    one.round()
    return one


def test_a_dead_camera_is_one_alert_told_within_the_five_minutes_and_cleared_once_it_stays_well() -> None:
    one = watch()
    one.say("D1", DEAD)
    one.pass_(KINDS[kinds.CAMERA].hold + 2 * ROUND)
    assert one.words == ["D1 camera opened"]
    for _ in range(5):  # a loose plug
        one.say("D1", FINE)
        one.pass_(30)
        one.say("D1", DEAD)
        one.pass_(30)
    one.say("D1", FINE)
    one.pass_(600)
    assert one.words == ["D1 camera opened", "D1 camera cleared"]


def test_a_reconnect_opens_nothing_and_a_device_that_went_is_silent_until_it_is_back() -> None:
    one = watch()
    for _ in range(20):
        one.connected.clear()
        one.pass_(60)
        one.connected.add("D1")
        one.pass_(60)
    assert one.words == []
    one.connected.clear()
    gone = one.at
    one.pass_(3600)
    assert one.words == ["D1 silent opened"]
    assert one.log[0][0] - (gone - 1000) <= SILENCE + KINDS[kinds.SILENT].hold + 2 * ROUND < 300
    one.connected.add("D1")
    one.round()
    assert one.words[1:] == ["D1 silent cleared"]


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(days=-1)])
def test_a_clock_that_steps_opens_and_clears_nothing(step: timedelta) -> None:
    one = watch("D1", "D2", "D3")
    for name in one.told:
        one.say(name, FINE)
    one.connected.discard("D3")
    one.pass_(600)
    before = list(one.words)
    assert before == ["D3 silent opened"]
    one.step_of_the_clock = step
    one.pass_(300)
    assert one.words == before


def test_an_engine_that_begins_anew_finds_nobody_silent_and_keeps_what_is_open() -> None:
    one = watch("D1", "D2")
    one.say("D2", FINE)
    one.connected.discard("D1")
    one.pass_(STALE + ROUND)
    assert one.words == ["D1 silent opened", "D2 no_telemetry opened"]
    one.engine, one.connected = AlertEngine(), set()  # after an hour away
    one.at += 3600
    one.pass_(30)
    one.connected = {"D2"}
    one.pass_(1200)
    assert len(one.words) == 2
    one.say("D2", FINE)
    one.connected.add("D1")
    one.pass_(60)
    assert sorted(one.words[2:]) == ["D1 silent cleared", "D2 no_telemetry cleared"]


def test_what_follows_from_a_dead_camera_or_a_silence_is_no_second_alert() -> None:
    one = watch("D1", "D2")
    one.say("D1", DEAD)
    one.connected.discard("D2")
    for _ in range(60):
        one.end("D1", "failed")
        one.end("D2", "expired")
        one.pass_(10)
    assert sorted(one.words) == ["D1 camera opened", "D2 silent opened"]
    one.connected.add("D2")  # what expired while it was away is known a little later
    one.pass_(60)
    one.end("D2", "expired", "expired")
    one.pass_(600)
    one.end("D2", "failed", "failed")
    one.pass_(60)
    assert "D2 failures opened" not in one.words
    one.end("D2", "failed")
    one.pass_(60)
    assert one.words[-1] == "D2 failures opened"


def test_of_a_silent_device_nothing_is_known_so_its_other_alerts_stay() -> None:
    one = watch()
    one.say("D1", DEAD)
    one.pass_(120)
    one.connected.clear()
    one.pass_(3600)
    assert one.words == ["D1 camera opened", "D1 silent opened"]
    one.connected.add("D1")
    one.pass_(20)
    one.say("D1", FINE)
    one.pass_(200)
    assert one.words[2:] == ["D1 silent cleared", "D1 camera cleared"]


def test_an_alert_is_cleared_by_what_is_known_to_be_well_for_long_enough() -> None:
    """Neither time in which it was bad again counts, nor time in which nobody knew."""
    hot, cool, clear = {"temperature": 85.0}, {"temperature": 50.0}, KINDS[kinds.HEAT].clear
    one = watch()
    one.say("D1", hot)
    one.pass_(KINDS[kinds.HEAT].hold + 2 * ROUND)
    assert one.words == ["D1 heat opened"]
    for telemetry in (cool, hot, cool):
        one.say("D1", telemetry)
        one.pass_(clear - 2 * ROUND)
    one.say("D1", hot)
    one.pass_(STALE + 2 * clear)  # it says no more, and what it said last is not known to be so now
    assert one.words == ["D1 heat opened", "D1 no_telemetry opened"]
    one.say("D1", cool)
    one.pass_(clear / 2)
    one.connected.clear()
    one.pass_(2 * clear)
    assert one.words[2:] == ["D1 no_telemetry cleared", "D1 silent opened"]
    one.connected.add("D1")
    one.pass_(clear - 2 * ROUND)
    assert one.words[4:] == ["D1 silent cleared"]
    one.pass_(4 * ROUND)
    assert one.words[5:] == ["D1 heat cleared"]


def test_devices_that_go_in_the_same_round_are_all_missed() -> None:
    one = watch(*(f"D{n}" for n in range(9)))
    one.connected.clear()
    one.pass_(600)
    assert sorted(one.words) == [f"D{n} silent opened" for n in range(9)]
    one.connected |= set(one.told)
    one.pass_(ROUND)
    assert one.open == set()


def test_a_barred_device_has_no_alerts() -> None:
    one = watch()
    one.connected.clear()
    one.pass_(300)
    one.bar("D1")
    one.pass_(3600)
    assert one.words == ["D1 silent opened", "D1 silent cleared"]


def test_failures_count_from_three_and_until_a_picture() -> None:
    one = watch()
    one.end("D1", "executed", "failed", "failed")
    one.pass_(60)
    assert one.words == []
    one.end("D1", "failed")
    one.pass_(10)
    one.end("D1", "failed")
    one.pass_(60)
    one.end("D1", "executed")
    one.pass_(10)
    assert one.words == ["D1 failures opened", "D1 failures cleared"]


def test_what_could_not_be_stored_is_said_again() -> None:
    one = watch()
    one.connected.clear()
    one.pass_(SILENCE + KINDS[kinds.SILENT].hold)
    one.at += ROUND
    first = one.round(stored=False)
    one.at += ROUND
    again = one.round(stored=False)
    assert [change.key for change in first] == [change.key for change in again] != []


def test_an_organisation_may_leave_out_kinds_and_wait_longer() -> None:
    one = watch(rules=Rules(off=[kinds.HEAT], hold={kinds.CAMERA: 600.0}))
    one.say("D1", {**DEAD, "temperature": 95.0})
    one.pass_(590)
    assert one.words == []
    one.pass_(30)
    assert one.words == ["D1 camera opened"]


def test_causes_that_are_no_devices_open_and_clear_the_same_way() -> None:
    one = watch()
    key = Key("default", "/cloud", kinds.CLOUD_DISK)
    one.others = {key: Cause(kinds.CLOUD_DISK, None, "1 GB", "buy")}
    one.pass_(30)
    assert one.words == []
    one.pass_(60)
    one.others = {}
    one.pass_(700)
    assert one.words == ["/cloud cloud_disk opened", "/cloud cloud_disk cleared"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["dead", "fine", "leave", "come", "fail", "picture", "wait", "wait", "anew"]),
        st.floats(0, 400),
        st.integers(-100_000, 100_000),
    ),
    max_size=25,
)


def _play(steps: list[tuple[str, float, int]], clock: bool) -> list[tuple[float, str, str, str]]:
    one = watch()
    for what, seconds, jump in steps:
        if clock:
            one.step_of_the_clock = timedelta(seconds=jump)
        if what in ("dead", "fine"):
            one.say("D1", DEAD if what == "dead" else FINE)
        elif what in ("fail", "picture"):
            one.end("D1", "failed" if what == "fail" else "executed")
        elif what == "anew":
            one.engine = AlertEngine()
        else:
            (one.connected.discard if what == "leave" else one.connected.add)("D1")
        one.pass_(seconds)
    return one.log


@settings(max_examples=25)
@given(STEPS)
def test_no_step_of_the_clock_makes_any_difference(steps: list[tuple[str, float, int]]) -> None:
    assert _play(steps, clock=False) == _play(steps, clock=True)
