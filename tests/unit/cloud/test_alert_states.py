"""States of devices: what is said of them, whatever they told and however old it is."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from visant_cloud.alerts import kinds, states
from visant_cloud.alerts.heard import Heard
from visant_cloud.alerts.kinds import KINDS
from visant_cloud.alerts.rules import DEFAULT, Rules
from visant_cloud.alerts.states import SILENCE, SILENCE_METERED, STALE, Ended, Facts, Slot, causes, health
from visant_contract.outcome import REMEDY, Reason
from visant_contract.telemetry import Telemetry

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEEN = NOW - timedelta(days=2)
WIRE = Path(__file__).parents[3] / "docs" / "wire.md"


def connected(telemetry: dict[str, Any] | None = None, **more: Any) -> Facts:
    at = None if telemetry is None else NOW - timedelta(seconds=60)
    given = {"connected": True, "last_seen_at": NOW, "telemetry": telemetry, "telemetry_at": at, "telemetry_age": 60.0}
    return Facts(**{**given, **more})


def kinds_of(facts: Facts, rules: Rules = DEFAULT) -> set[str]:
    return set(causes(facts, NOW, rules))


NUMBERS: list[Any] = [-1, 0, 0.5, 61, 85, 1e9, 1e308, 10**400, float("nan"), float("inf")]
ANY_JSON: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, *NUMBERS, "", "ok", "camera_absent", [], ["x: y", 1], {}, {"state": {}}]
)
PARTS = {
    "camera": st.fixed_dictionaries({}, optional={"state": ANY_JSON, "detail": ANY_JSON, "state_age": ANY_JSON}),
    "spool": st.dictionaries(
        st.sampled_from(["bytes", "limit_bytes", "days_left", "oldest_age", "pictures"]), ANY_JSON
    ),
    "host": st.fixed_dictionaries(
        {},
        optional={
            "power": st.dictionaries(st.sampled_from(["undervoltage", "throttled"]), ANY_JSON) | ANY_JSON,
            "card": st.dictionaries(st.sampled_from(["read_only", "pre_eol"]), ANY_JSON) | ANY_JSON,
            "engine_disk": st.dictionaries(st.sampled_from(["free_bytes", "total_bytes"]), ANY_JSON) | ANY_JSON,
        },
    ),
    "clock": st.dictionaries(st.sampled_from(["synchronised", "cloud_offset"]), ANY_JSON),
    "temperature": ANY_JSON,
    "disk_free_bytes": ANY_JSON,
    "disk_total_bytes": ANY_JSON,
    "metered": ANY_JSON,
    "reasons": ANY_JSON,
    "state": ANY_JSON | st.just("degraded"),
}
TELEMETRY = (
    st.none() | ANY_JSON | st.fixed_dictionaries({}, optional={name: part | ANY_JSON for name, part in PARTS.items()})
)
OUTCOMES = st.lists(
    st.builds(
        Ended,
        st.integers(1, 99),
        st.sampled_from(["executed", "failed", "expired"]),
        st.sampled_from([None, "camera_absent", "device_silent", "of a later version"]),
    ),
    max_size=8,
).map(lambda found: tuple(sorted(found, key=lambda one: one.seq)))
FACTS = st.builds(
    Facts,
    active=st.booleans(),
    connected=st.booleans(),
    created_at=st.just(SEEN),
    last_seen_at=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    absent=st.floats(0, 1e7),
    telemetry=TELEMETRY,
    telemetry_at=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    telemetry_age=st.floats(0, 1e7) | st.just(float("inf")),
    outcomes=OUTCOMES,
    excused=st.integers(0, 99),
    interval=st.none() | st.floats(1, 1e6),
    slot=st.none() | st.builds(Slot, st.integers(1, 99), st.just(SEEN), st.none() | st.just("spool_full")),
    open=st.sets(st.sampled_from(sorted(KINDS))),
)


@settings(max_examples=60)
@given(FACTS)
def test_every_device_is_in_one_state_and_each_cause_has_its_words(facts: Facts) -> None:
    found = health(facts, NOW)
    assert found.state in states.STATES
    assert (found.state == "suspended") == (not facts.active)
    assert (found.state == "never_connected") == (facts.active and not facts.seen)
    assert bool(found.causes) == (found.state in ("degraded", "silent"))
    for cause in found.causes:
        assert cause.remedy and cause.detail and cause.kind in KINDS
        assert cause.since is None or cause.since <= NOW
    named = [cause.kind for cause in found.causes]
    assert len(named) == len(set(named))
    assert named == [kinds.SILENT] if found.state == "silent" else kinds.SILENT not in named
    assert found.state != "silent" or not facts.connected


@settings(max_examples=60)
@given(FACTS, st.floats(0, 1e6))
def test_a_silence_that_lasts_longer_stays_one(facts: Facts, more: float) -> None:
    later = Facts(**{**vars(facts), "absent": facts.absent + more})
    if health(facts, NOW).state == "silent":
        assert health(later, NOW).state == "silent"


@settings(max_examples=60)
@given(FACTS)
def test_an_open_alert_keeps_its_cause_at_least_as_long(facts: Facts) -> None:
    shut = Facts(**{**vars(facts), "open": ()})
    for kind in causes(shut, NOW):
        if kind not in (kinds.SILENT, kinds.OTHER, kinds.NO_TELEMETRY):
            kept = Facts(**{**vars(facts), "open": (kind,)})
            assert kind in causes(kept, NOW), kind


@pytest.mark.parametrize(
    ("kind", "telemetry"),
    [
        (kinds.CAMERA, {"camera": {"state": "camera_absent"}}),
        (kinds.SPOOL, {"spool": {"pictures": 900, "bytes": 90, "limit_bytes": 100}}),
        (kinds.SPOOL, {"spool": {"pictures": 9, "days_left": 1.5}}),
        (kinds.SPOOL, {"spool": {"reports": 1, "oldest_age": 3700}}),
        (kinds.DISK, {"disk_free_bytes": 100 << 20, "disk_total_bytes": 32 << 30}),
        (kinds.DISK, {"host": {"engine_disk": {"free_bytes": 100 << 20}}}),
        (kinds.DISK, {"host": {"card": {"read_only": True}}}),
        (kinds.DISK, {"host": {"card": {"pre_eol": 3}}}),
        (kinds.HEAT, {"temperature": 81.0}),
        (kinds.POWER, {"host": {"power": {"undervoltage": True}}}),
        (kinds.CLOCK, {"clock": {"synchronised": True, "cloud_offset": -120.0}}),
        (kinds.CLOCK, {"clock": {"synchronised": False}}),
        (kinds.OTHER, {"state": "degraded", "reasons": ["redis: away"]}),
        (kinds.OTHER, {"state": "degraded", "reasons": ["camera: camera_absent"]}),
    ],
)
def test_what_a_device_tells_is_named(kind: str, telemetry: dict[str, Any]) -> None:
    assert kinds_of(connected(telemetry)) == {kind}
    assert health(connected(telemetry), NOW).state == "degraded"


@pytest.mark.parametrize(
    "telemetry",
    [
        {},
        {"camera": {"state": "ok"}, "state": "ok", "reasons": []},
        {"spool": {"pictures": 0, "bytes": 0, "limit_bytes": 100, "days_left": 0.5, "oldest_age": None}},
        {"disk_free_bytes": 200 << 20, "disk_total_bytes": 900 << 20},  # a small disk is no full one
        {"temperature": 79.9},
        {"clock": {"synchronised": False, "cloud_offset": 0.1}},  # who sets it does not matter while it is right
        {"host": {"power": {"undervoltage": False, "undervoltage_since_boot": True}}},
    ],
)
def test_an_ordinary_device_is_ok(telemetry: dict[str, Any]) -> None:
    assert health(connected(telemetry), NOW) == states.Health("ok")


MIB = 1 << 20
BORDERS: list[tuple[str, bool, dict[str, Any], dict[str, Any]]] = [
    (kinds.SPOOL, False, {"spool": {"bytes": 80, "limit_bytes": 100}}, {"spool": {"bytes": 79, "limit_bytes": 100}}),
    (kinds.SPOOL, True, {"spool": {"bytes": 641, "limit_bytes": 1e3}}, {"spool": {"bytes": 639, "limit_bytes": 1e3}}),
    (kinds.SPOOL, False, {"spool": {"pictures": 1, "days_left": 1.9}}, {"spool": {"pictures": 1, "days_left": 2.0}}),
    (kinds.SPOOL, True, {"spool": {"pictures": 1, "days_left": 2.4}}, {"spool": {"pictures": 1, "days_left": 2.5}}),
    (kinds.SPOOL, False, {"spool": {"reports": 1, "days_left": 0}}, {"spool": {"reports": 1, "days_left": -1}}),
    (kinds.SPOOL, False, {"spool": {"pictures": 1, "oldest_age": 3600}}, {"spool": {"oldest_age": 3600}}),
    (kinds.SPOOL, True, {"spool": {"pictures": 1, "oldest_age": 2880}}, {"spool": {"pictures": 1, "oldest_age": 2879}}),
    (kinds.DISK, False, {"disk_free_bytes": 512 * MIB - 1}, {"disk_free_bytes": 512 * MIB}),
    (kinds.DISK, True, {"disk_free_bytes": 640 * MIB - 1}, {"disk_free_bytes": 640 * MIB}),
    (
        kinds.DISK,
        False,
        {"disk_free_bytes": 199, "disk_total_bytes": 1000},
        {"disk_free_bytes": 200, "disk_total_bytes": 1000},
    ),
    (kinds.DISK, False, {"host": {"card": {"pre_eol": 3}}}, {"host": {"card": {"pre_eol": 2}}}),
    (kinds.HEAT, False, {"temperature": 80}, {"temperature": 79.9}),
    (kinds.HEAT, True, {"temperature": 75}, {"temperature": 74.9}),
    (kinds.CLOCK, False, {"clock": {"cloud_offset": 60}}, {"clock": {"cloud_offset": 59.9}}),
    (kinds.CLOCK, False, {"clock": {"cloud_offset": -60}}, {"clock": {"cloud_offset": -59.9}}),
    (kinds.CLOCK, True, {"clock": {"cloud_offset": 48}}, {"clock": {"cloud_offset": 47.9}}),
    (kinds.SPOOL, False, {"spool": {"bytes": 1, "limit_bytes": 1}}, {"spool": {"bytes": 0, "limit_bytes": 0}}),
]
"""Kind, whether its alert is open, the least that is a cause, the most that is none."""


@pytest.mark.parametrize(("kind", "is_open", "cause", "none"), BORDERS)
def test_a_limit_is_where_it_is_said_to_be(
    kind: str, is_open: bool, cause: dict[str, Any], none: dict[str, Any]
) -> None:
    opened = (kind,) if is_open else ()
    assert kinds_of(connected(cause, open=opened)) == {kind}
    assert kinds_of(connected(none, open=opened)) == set()
    assert kinds_of(connected(cause, open=("other",) if is_open else ())) == (set() if is_open else {kind})


@pytest.mark.parametrize(
    ("telemetry", "detail"),
    [
        ({"disk_free_bytes": 100 * MIB}, "100 MiB free on the spool's disk"),
        ({"clock": {"cloud_offset": 7200.0}}, "2 hours ahead"),
        ({"clock": {"cloud_offset": -7199.0}}, "120 minutes behind"),
        ({"clock": {"cloud_offset": 119.0}}, "119 seconds ahead"),
        ({"clock": {"cloud_offset": 120.0}}, "2 minutes ahead"),
        ({"clock": {"cloud_offset": 172800.0}}, "2 days ahead"),
        ({"spool": {"pictures": 9, "reports": 3, "oldest_age": 7300}}, "12 wait, the oldest for 2 hours"),
        (
            {"spool": {"bytes": 9, "limit_bytes": 10, "reports": 1, "days_left": 1}},
            "90% of its room is taken; room for 1.0 days",
        ),
        ({"host": {"power": {"undervoltage": True, "throttled": True}}}, "undervoltage and slowed down"),
        ({"host": {"power": {"undervoltage": True}}}, "undervoltage"),
        ({"temperature": 84.6}, "85 degrees Celsius"),
        ({"state": "degraded"}, "it says degraded, and not why"),
        ({"state": "degraded", "reasons": ["redis: away", "odd"]}, "redis: away; odd"),
    ],
)
def test_a_detail_says_how_much(telemetry: dict[str, Any], detail: str) -> None:
    [cause] = causes(connected(telemetry), NOW).values()
    assert cause.detail == detail


def test_of_who_is_not_awaited_nothing_is_wrong() -> None:
    dead = {"camera": {"state": "camera_absent"}}
    assert causes(connected(dead, active=False), NOW) == {}
    assert causes(Facts(absent=1e6, telemetry=dead), NOW) == {}
    assert kinds_of(Facts(connected=True, telemetry=dead)) == {kinds.CAMERA}


@pytest.mark.parametrize(("age", "known"), [(0, True), (1e9 - 1, True), (1e9, False), (-1, False)])
def test_since_when_is_believed_within_reason(age: float, known: bool) -> None:
    [cause] = causes(connected({"camera": {"state": "camera_absent", "state_age": age}}), NOW).values()
    assert cause.since == (NOW - timedelta(seconds=60 + age) if known else None)


def test_a_dead_camera_is_told_with_its_reason_remedy_and_since_when() -> None:
    told = {
        "camera": {"state": "camera_absent", "detail": "no /dev/video0", "state_age": 300.0},
        "state": "degraded",
        "reasons": ["camera: camera_absent"],
    }
    [cause] = health(connected(told), NOW).causes
    assert cause.kind == kinds.CAMERA and cause.detail == "camera_absent: no /dev/video0"
    assert "Plug the camera in" in cause.remedy and cause.since == NOW - timedelta(seconds=360)


def told_on_the_wire() -> dict[str, Any]:
    """The telemetry of docs/wire.md, as it is kept."""
    example = re.search(r"```json telemetry\n(.*?)```", WIRE.read_text(), re.S)
    assert example is not None
    return Telemetry.model_validate(json.loads(example[1])).model_dump(mode="json", exclude_none=True)


def test_what_the_wire_shows_of_a_device_is_understood() -> None:
    """Its camera is absent for 41.5 s; all the rest is as it should be."""
    [cause] = health(connected(told_on_the_wire()), NOW).causes
    assert (cause.kind, cause.remedy) == (kinds.CAMERA, REMEDY[Reason.CAMERA_ABSENT])
    assert cause.since == NOW - timedelta(seconds=60 + 41.5)


def fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*above, name)
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from fields(part, (*above, name))


def test_all_that_is_asked_of_a_report_is_a_field_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set[tuple[str, ...]]()
    part = Heard.part

    def noted(self: Heard, *path: str) -> Any:
        asked.add(path)
        return part(self, *path)

    monkeypatch.setattr(Heard, "part", noted)
    power = {"undervoltage": True}
    causes(connected(told_on_the_wire() | {"host": {"power": power}}), NOW)
    assert ("host", "power", "throttled") in asked
    assert asked <= set(fields(Telemetry))


def test_a_reconnect_is_no_silence_and_what_was_told_counts_meanwhile() -> None:
    dead_camera = {"camera": {"state": "camera_absent"}}
    away = {"connected": False, "last_seen_at": SEEN}
    assert kinds_of(connected(dead_camera, **away, absent=SILENCE - 1)) == {kinds.CAMERA}
    gone = health(connected(dead_camera, **away, absent=SILENCE), NOW)
    assert (gone.state, gone.since, [one.kind for one in gone.causes]) == ("silent", SEEN, ["silent"])
    assert kinds_of(connected({"metered": True}, **away, absent=SILENCE_METERED - 1)) == set()


def test_a_device_that_says_nothing_while_connected_is_not_believed_for_ever() -> None:
    hot = {"temperature": 90.0}
    assert kinds_of(connected(hot, telemetry_age=STALE - 1)) == {kinds.HEAT}
    assert kinds_of(connected(hot, telemetry_age=STALE)) == {kinds.NO_TELEMETRY}
    assert kinds_of(connected({**hot, "metered": True}, telemetry_age=STALE)) == {kinds.HEAT}
    assert kinds_of(connected(None, telemetry_age=STALE)) == set(), "an old client tells nothing"


def test_failures_in_a_row_end_at_a_picture_and_leave_out_what_is_excused() -> None:
    bad = [Ended(n, "failed", "bad_frames") for n in (1, 2, 3)]
    assert kinds_of(connected(outcomes=bad)) == {kinds.FAILURES}
    assert kinds_of(connected(outcomes=bad[:2])) == set()
    assert kinds_of(connected(outcomes=[*bad, Ended(6, "executed", None)])) == set()
    assert kinds_of(connected(outcomes=bad, excused=1)) == set()
    assert kinds_of(connected(outcomes=bad[:1], open=[kinds.FAILURES])) == {kinds.FAILURES}, "until a picture is there"
    assert kinds_of(connected(outcomes=bad[:1]), Rules(failures_in_a_row=1)) == {kinds.FAILURES}


def test_a_missed_slot_is_told_of_rare_schedules_until_a_picture_is_there() -> None:
    missed = Slot(7, SEEN, "deadline_passed")
    one: dict[str, Any] = {"slot": missed, "interval": 86400.0, "outcomes": [Ended(7, "expired", "deadline_passed")]}
    assert kinds_of(connected(**one)) == {kinds.SLOT_MISSED}
    assert kinds_of(connected(**{**one, "interval": 60.0})) == set()
    assert kinds_of(connected(**{**one, "outcomes": [*one["outcomes"], Ended(8, "executed", None)]})) == set()


def test_the_state_is_as_old_as_the_alert_that_is_open() -> None:
    known = NOW - timedelta(hours=5)
    found = health(connected({"temperature": 90.0}, open=[kinds.HEAT]), NOW, since={kinds.HEAT: known})
    assert (found.since, found.causes[0].since) == (known, known)
