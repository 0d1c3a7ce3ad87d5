"""Where the time of a trigger went, told by two clocks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.store.captures import Capture
from visant_cloud.store.triggers import Trigger
from visant_cloud.views.stages import StageRow, stages

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROAD = (("admitted", 0.02), ("camera_asked", 0.03), ("exposed", 0.2), ("spooled", 0.3), ("upload_began", 0.35))
"""Seconds after noon; the picture is stored at 0.6."""


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def trigger(**more: Any) -> Trigger:
    row: dict[str, Any] = {
        "seq": 1,
        "device_key": "D1",
        "trigger_id": "t",
        "kind": "capture",
        "type": "manual",
        "status": "executed",
        "reason": None,
        "detail": None,
        "provisional": False,
        "config": None,
        "created_at": NOON,
        "expires_at": at(120),
        "sent_at": at(0.01),
        "ended_at": at(0.6),
    }
    return Trigger(**{**row, **more})


def capture(metadata: dict[str, Any], **more: Any) -> Capture:
    row: dict[str, Any] = {
        "seq": 1,
        "record_id": "r",
        "device_key": "D1",
        "trigger_id": "t",
        "trigger_label": None,
        "captured_at": at(0.2),
        "received_at": at(0.6),
        "uncertainty": 1.0,
        "bytes": 1,
        "width": 1,
        "height": 1,
        "sha256": "",
        "thumbnail": True,
        "metadata": metadata,
    }
    return Capture(**{**row, **more})


def told(
    off: float = 0.0, uncertainty: float | None = 1.0, boot: Callable[[str], str] = lambda name: "b"
) -> dict[str, Any]:
    """As a device tells it whose clock is so many seconds off."""
    return {
        "stages": {
            name: {"at": at(seconds + off).isoformat(), "uncertainty": uncertainty, "boot_id": boot(name)}
            for name, seconds in ROAD
        }
    }


def spans(rows: list[StageRow]) -> dict[str, float | None]:
    return {row["name"]: row["seconds_since_previous"] for row in rows}


EXACT = {"camera_asked": 0.01, "exposed": 0.17, "spooled": 0.1, "upload_began": 0.05}


def test_a_road_whose_clocks_agree_is_told_step_by_step() -> None:
    rows = stages(trigger(), capture(told()))
    expected = {"accepted": None, "sent": 0.01, "admitted": 0.01, **EXACT, "stored": 0.25}
    assert spans(rows) == expected
    assert [row["clock"] for row in rows] == ["cloud"] * 2 + ["device"] * 5 + ["cloud"]
    # within one clock nothing can be wrong; between two, no more than lets the device's steps be on the road at all
    assert [row["uncertainty"] for row in rows] == [None, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.25]


@pytest.mark.parametrize("off", [-3 * 365 * 86400.0, -86400.0, -5.0, 5.0, 86400.0, 50 * 365 * 86400.0])
@pytest.mark.parametrize("uncertainty", [None, 1.0])
def test_a_clock_that_is_off_gives_no_absurd_step_and_is_said_to_be_off(off: float, uncertainty: float | None) -> None:
    rows = stages(trigger(), capture(told(off, uncertainty)))
    found = spans(rows)
    assert {name: found[name] for name in EXACT} == EXACT, "what one clock tells stays as it was told"
    assert {row["clock"] for row in rows} == {"cloud", "device_corrected"}
    between = [row for row in rows if row["name"] in ("admitted", "stored")]
    for row in between:
        seconds, wrong_by = row["seconds_since_previous"], row["uncertainty"]
        assert seconds is not None and wrong_by is not None
        true = {"admitted": 0.01, "stored": 0.25}[row["name"]]
        assert abs(seconds - true) <= wrong_by < 0.6, "as exact as the cloud's own times make it"


def test_a_clock_that_may_be_wrong_by_more_than_it_is_off_is_believed() -> None:
    rows = stages(trigger(), capture(told(-0.4)))
    assert {row["clock"] for row in rows} == {"cloud", "device"}
    (admitted,) = [row for row in rows if row["name"] == "admitted"]
    assert admitted["at"] < rows[0]["at"], "as it was told"
    assert (admitted["seconds_since_previous"], admitted["uncertainty"]) == (0.0, 0.65)


def test_each_boot_has_a_clock_of_its_own() -> None:
    """The device restarted between admission and picture, and its clock was a day behind before."""
    metadata = told(boot=lambda name: "before" if name == "admitted" else "after")
    metadata["stages"]["admitted"]["at"] = at(-86400).isoformat()
    rows = stages(trigger(), capture(metadata))
    by_name = {row["name"]: row for row in rows}
    assert by_name["admitted"]["clock"] == "device_corrected" and by_name["exposed"]["clock"] == "device"
    assert by_name["camera_asked"]["uncertainty"] != 0.0
    assert all(value is None or value >= 0 for value in spans(rows).values())


def test_a_plain_devices_picture_says_when_it_was_taken() -> None:
    rows = stages(trigger(), capture({}, uncertainty=None))
    assert [row["name"] for row in rows] == ["accepted", "sent", "exposed", "stored"]
    assert rows[2]["uncertainty"] == 0.4, "between the trigger and its picture, more nobody knows"


def test_a_failed_trigger_tells_how_far_it_came() -> None:
    told_by_report = {"admitted": {"at": at(0.1).isoformat()}, "decided": {"at": at(15).isoformat()}}
    rows = stages(trigger(status="failed", reason="camera_absent", ended_at=at(16), stages=told_by_report), None)
    assert [row["name"] for row in rows] == ["accepted", "sent", "admitted", "decided", "ended"]
    assert stages(trigger(status="sent", ended_at=None), None)[-1]["name"] == "sent"
    removed = stages(trigger(), None)
    assert removed[-1]["name"] == "stored", "RETENTION_DAYS took the picture, not that it came"


def test_where_the_clouds_own_clock_was_set_back_nothing_is_made_up() -> None:
    rows = stages(trigger(ended_at=at(-60)), capture(told(), received_at=at(-60)))
    assert rows[-1]["seconds_since_previous"] is None
    assert {row["clock"] for row in rows} == {"cloud", "device"}


_ANY = st.one_of(st.none(), st.floats(0, 1e5))


@given(
    off=st.floats(-1e9, 1e9),
    uncertainty=_ANY,
    names=st.sets(st.sampled_from([name for name, _ in ROAD])),
    boots=st.lists(st.sampled_from(["a", "b"]), min_size=5, max_size=5),
)
def test_no_step_is_ever_negative_or_longer_than_the_whole_by_more_than_is_said(
    off: float, uncertainty: float | None, names: set[str], boots: list[str]
) -> None:
    metadata = told(off, uncertainty)
    for boot, name in zip(boots, [name for name, _ in ROAD], strict=True):
        metadata["stages"][name]["boot_id"] = boot
        if name not in names:
            del metadata["stages"][name]
    rows = stages(trigger(), capture(metadata))
    for row in rows:
        seconds, wrong_by = row["seconds_since_previous"], row["uncertainty"]
        assert seconds is None or seconds >= 0
        if seconds is not None and wrong_by is not None:
            assert seconds - wrong_by <= 0.6 + 1e-6
