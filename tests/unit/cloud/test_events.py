"""docs/events.md is true: each type has an example with exactly the fields that are told."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from visant_cloud.alerts.states import Cause
from visant_cloud.events import types
from visant_cloud.events.selection import chosen_types
from visant_cloud.problems import Refusal
from visant_cloud.store.alerts import Alert

DOCUMENT = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
_CAPTURE = {"record_id": "r", "trigger_id": "t", "bytes": 1, "width": 1, "height": 1}
_ALERT = Alert(17, "default", "D1", "camera", "D1", None, NOW, NOW, "", "", None, NOW, "ada", None, None, None)
_TRIGGER = {"trigger_id": "t", "kind": "capture", "type": "manual", "expires_at": None, "created_at": NOW}
MADE = {
    types.TRIGGER_CREATED: types.trigger_created("D1", _TRIGGER),
    types.TRIGGER_ENDED: types.trigger_ended("D1", "t", "capture", NOW, status="failed", reason="camera_absent"),
    types.CAPTURE_STORED: types.capture_stored("D1", {**_CAPTURE, "received_at": NOW, "captured_at": NOW}),
    types.DEVICE_CONNECTED: types.of_device(types.DEVICE_CONNECTED, "D1", NOW),
    types.DEVICE_DISCONNECTED: types.of_device(types.DEVICE_DISCONNECTED, "D1", NOW),
    types.DEVICE_STATE: types.device_state("D1", NOW, "ok", "degraded", NOW, [Cause("camera", NOW, "", "")]),
    types.DEVICE_SETTINGS: types.device_settings("D1", NOW, {"CAMERA_WARMUP": "3"}, None),
    **{name: types.alert(name, _ALERT, NOW) for name in types.TYPES if name.startswith("alert.")},
}
"""A note of each type, as the code makes it."""
STREAM = {
    "connected": {"type", "server_time", "last_id", "oldest_id"},
    "ping": {"type", "server_time"},
    "gap": {"type", "after", "oldest_id"},
}
"""What tests/integration/cloud/test_events.py reads from a stream."""


def examples() -> dict[str, Any]:
    return {name: json.loads(text) for name, text in re.findall(r"```json ([\w.]+)\n(.*?)```", DOCUMENT, re.DOTALL)}


def keys(value: Any) -> Any:
    if isinstance(value, list):
        return [keys(one) for one in value]
    return {key: keys(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_every_type_has_an_example_and_every_example_is_of_a_type() -> None:
    assert examples().keys() == {*types.TYPES, *STREAM} and MADE.keys() == set(types.TYPES)


@pytest.mark.parametrize("name", types.TYPES)
def test_an_example_has_the_fields_that_are_told(name: str) -> None:
    assert MADE[name].type == name
    assert keys(examples()[name]) == keys(MADE[name].data)


def test_the_streams_own_messages_have_their_fields() -> None:
    assert {name: set(examples()[name]) for name in STREAM} == STREAM


def test_types_are_named_or_stand_for_all_that_begin_so() -> None:
    assert chosen_types(None) is None
    found = chosen_types("trigger.ended, alert.*")
    assert found == frozenset({"trigger.ended", "alert.opened", "alert.cleared", "alert.acknowledged"})
    for wrong in ("", "trigger", "trigger*", "*", "trigger.ended,", "gap"):
        with pytest.raises(Refusal, match=r"types: .* is none of trigger\.created"):
            chosen_types(wrong)
