"""What is kept of a report, and how reports become steps of five minutes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from visant_cloud.history import fields
from visant_cloud.history.fields import FIELDS, STATES, STEP, STEPS

TOLD: dict[str, Any] = {
    "device_version": "2.0.0",
    "state": "degraded",
    "uptime": 86400.25,
    "temperature": 51.0,
    "disk_free_bytes": 20_000_000_000,
    "camera": {"state": "camera_absent", "fps": 5.12345, "bad_frames": 2},
    "spool": {"pictures": 3, "reports": 1, "bytes": 900_000, "oldest_age": 61.5, "days_left": 12.25},
    "clock": {"wall": "2026-11-30T12:00:00Z", "synchronised": True, "cloud_offset": -0.0312},
    "host": {
        "engine_disk": {"free_bytes": 5_000_000},
        "card": {"life_used_percent": 10, "bytes_a_day": 1.5e9},
        "power": {"throttled": False, "undervoltage": True},
        "uplink": "wlan0",
        "radios": {"wlan0": {"dbm": -61.0, "quality_percent": 70}, "eth9": {"dbm": -1}},
        "restarts": {"camera": 2, "redis": 1},
        "security_updates": {"pending": 4},
    },
}
KEPT = [
    *("degraded", "camera_absent", 5.123, 2, 3, 1, 900_000, 61.5, 12.25, 20_000_000_000, 5_000_000),
    *(10, 1_500_000_000, 51, 0, 1, "wlan0", -61, 70, 1, -0.031, 3, 4, 86400.25),
]


def one(name: str, **told: Any) -> Any:
    return fields.of_raw(fields.of_report(told), name)


def column(*reports: tuple[float, dict[str, Any]], name: str = "temperature", part: Any = "mean") -> list[Any]:
    made = fields.hour_of([(at, fields.of_report(told)) for at, told in reports], 0.0)
    return fields.of_hour(made, name, part)


def test_every_field_is_read_from_where_the_contract_has_it_and_stays_at_its_place() -> None:
    """What is stored has no names: whoever moves a field changes what was said before."""
    assert fields.of_report(TOLD) == KEPT
    assert list(FIELDS)[:4] == ["state", "camera", "camera_fps", "camera_bad_frames"]
    assert list(FIELDS)[20:24] == ["clock_offset", "restarts", "security_updates", "uptime"]


@given(
    some.dictionaries(
        some.sampled_from([*TOLD]),
        some.recursive(
            some.none() | some.booleans() | some.floats() | some.integers() | some.text(),
            lambda inner: (
                some.lists(inner, max_size=3)
                | some.dictionaries(
                    some.sampled_from(
                        ["state", "radios", "wlan0", "dbm", "uplink", "restarts", "pending", "power", "free_bytes"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ),
    )
)
def test_whatever_a_report_is_each_field_is_a_number_a_word_or_nothing(told: dict[str, Any]) -> None:
    kept = fields.of_report(told)
    assert len(kept) == len(FIELDS)
    for name, value in zip(FIELDS, kept, strict=True):
        assert value is None or isinstance(value, str if name in STATES else int | float), name
        assert not isinstance(value, float) or value == value, "no NaN"


def test_a_step_has_least_mean_most_and_last_of_what_came_in_it() -> None:
    told = [(at, {"temperature": value}) for at, value in ((0.0, 50.0), (10.0, 52.0), (290.0, 51.0), (300.0, 60.0))]
    for part, expected in (("min", 50), ("mean", 51), ("max", 52), ("last", 51)):
        assert column(*told, part=part) == [expected, 60, *[None] * (STEPS - 2)]
    assert column((3599.0, {"temperature": 40.0}))[-1] == 40


def test_of_a_state_the_last_word_is_kept() -> None:
    told = [(0.0, {"camera": {"state": "ok"}}), (10.0, {"camera": {"state": "camera_absent"}}), (20.0, {})]
    assert column(*told, name="camera", part="last") == ["camera_absent", *[None] * (STEPS - 1)]


@given(some.lists(some.tuples(some.floats(0, 3599), some.floats(-1e6, 1e6)), max_size=30))
def test_steps_are_of_their_time_alone(told: list[tuple[float, float]]) -> None:
    told = sorted(told)
    reports = [(at, {"temperature": value}) for at, value in told]
    least, mean, most = (column(*reports, part=part) for part in ("min", "mean", "max"))
    for step in range(STEPS):
        mine = [round(value, 3) for at, value in told if step * STEP <= at < (step + 1) * STEP]
        if not mine:
            assert least[step] is mean[step] is most[step] is None
        else:
            assert (least[step], most[step]) == (min(mine), max(mine))
            assert min(mine) - 0.001 <= mean[step] <= max(mine) + 0.001


def test_what_was_kept_before_there_were_more_fields_is_read() -> None:
    assert fields.of_raw(["ok"], "temperature") is None
    assert fields.of_hour([["ok"] * STEPS], "temperature", "mean") == [None] * STEPS
    assert one("temperature", temperature=float("nan")) is None


@pytest.mark.parametrize("name", ["", "nothing", "temperature.", "temperature.median", "camera.max", ".max"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        fields.parse_name(name)


def test_a_name_may_say_which_part() -> None:
    assert fields.parse_name("temperature") == ("temperature", "mean")
    assert fields.parse_name("temperature.max") == ("temperature", "max")
    assert fields.parse_name("camera.last") == ("camera", "last")
