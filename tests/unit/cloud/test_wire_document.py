"""docs/wire.md is true: each example is read by the model it shows, and the list of reasons is the closed list."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from visant_cloud.routes.enrolment import EnrolRequest
from visant_cloud.store.triggers import Trigger
from visant_cloud.views.as_json import trigger
from visant_contract.capture import CaptureFields, CaptureReceipt, CaptureTime, CaptureUpload
from visant_contract.command import CaptureCommand, UpdateConfigCommand, parse_message
from visant_contract.errors import Problem
from visant_contract.outcome import REMEDY, OutcomeReport, Reason
from visant_contract.sse import Connected, Ping
from visant_contract.stages import STAGES, read_stages
from visant_contract.telemetry import Telemetry

DOCUMENT = (Path(__file__).parents[3] / "docs" / "wire.md").read_text()

STREAM: dict[str, type[BaseModel]] = {
    "connected": Connected,
    "ping": Ping,
    "capture": CaptureCommand,
    "update_config": UpdateConfigCommand,
}
BODIES: dict[str, type[BaseModel]] = {
    "capture_upload": CaptureUpload,
    "capture_fields": CaptureFields,
    "receipt": CaptureReceipt,
    "outcome": OutcomeReport,
    "telemetry": Telemetry,
    "problem": Problem,
    "enrol_request": EnrolRequest,
}
ANSWERS = {
    "enrol_answer": {"device_id", "token"},
    "trigger_answer": {"trigger_id", "device_id", "status", "connected", "created_at", "expires_at"},
    "connected_devices": {"devices", "count"},
    "missed_slots": {"device_id", "missed"},
}


def examples() -> list[tuple[str, str]]:
    return re.findall(r"```json (\w+)\n(.*?)```", DOCUMENT, re.DOTALL)


def subset(given: Any, read: Any, where: str) -> None:
    """Every field of the example was understood, none skipped as unknown."""
    if isinstance(given, dict):
        for key, value in given.items():
            assert key in read, f"{where}.{key} is unknown to the model"
            subset(value, read[key], f"{where}.{key}")


@pytest.mark.parametrize(("name", "text"), examples())
def test_each_example_is_what_the_contract_reads(name: str, text: str) -> None:
    given = json.loads(text)
    if name in STREAM:
        message = parse_message(json.dumps(given))
        assert type(message) is STREAM[name]
        subset(given, message.model_dump(), name)
    elif name in BODIES:
        subset(given, BODIES[name].model_validate_json(text).model_dump(), name)
    elif name == "trigger_row":
        times = {"created_at", "expires_at", "sent_at", "ended_at"}
        fields = {k: v for k, v in given.items() if k in Trigger.__dataclass_fields__}
        values: dict[str, Any] = {k: datetime.fromisoformat(v) if k in times else v for k, v in fields.items()}
        row = Trigger(config=None, device_key=given["device_id"], **values)
        assert set(trigger(row, None)) == set(given)
        stored, made = (datetime.fromisoformat(given[key]) for key in ("stored_at", "created_at"))
        assert given["latency_ms"] == round((stored - made).total_seconds() * 1000, 3)
    else:
        assert set(given) == ANSWERS[name]


def test_every_message_has_an_example() -> None:
    assert {name for name, _ in examples()} == {*STREAM, *BODIES, *ANSWERS, "trigger_row"}


@pytest.mark.parametrize("name", [*STREAM, *BODIES])
def test_every_field_of_a_message_is_in_an_example(name: str) -> None:
    shown = {key for one, text in examples() if one == name for key in json.loads(text)}
    assert set((STREAM | BODIES)[name].model_fields) - shown == set()


def test_the_time_of_the_capture_example_is_read_as_such() -> None:
    text = next(text for name, text in examples() if name == "capture_upload")
    moment = CaptureTime.model_validate(json.loads(text)["metadata"]["time"])
    assert moment.uncertainty == 0.05


def test_the_stages_of_the_examples_are_read_as_such() -> None:
    uploaded = next(json.loads(text) for name, text in examples() if name == "capture_upload")
    reported = next(json.loads(text) for name, text in examples() if name == "outcome")
    assert list(read_stages(uploaded["metadata"])) == [name for name in STAGES if name != "decided"]
    assert list(read_stages(reported["metadata"])) == ["admitted", "camera_asked", "decided"]


def test_the_table_of_reasons_is_the_closed_list_with_its_remedies() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", DOCUMENT, re.MULTILINE))
    assert table == {str(reason): remedy for reason, remedy in REMEDY.items()}
    assert set(REMEDY) == set(Reason)
