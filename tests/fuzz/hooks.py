"""What Schemathesis cannot read out of the description: loaded by it (SCHEMATHESIS_HOOKS), in its own process."""

import base64
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from PIL import Image

from visant_contract.capture import CAPTURE_HEADER, JPEG, MEANT_FOR


def _picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 60, 30)).save(data, "JPEG")
    return data.getvalue()


_PICTURE = _picture()
_HOOK = {"type": "webhook", "target": "https://nobody.invalid/"}
_RULE = {"cron": "30 2 * * *", "zone": "Europe/Berlin", "windows": [{"begin": "22:00:00", "end": "06:00:00"}]}
_MEANT: dict[str, dict[str, Any]] = {
    "POST /v1/silences": {"until": (datetime.now(UTC) + timedelta(days=1)).isoformat(), "device_id": "D1"},
    "POST /v1/channels": _HOOK,
    "PATCH /v1/channels/{channel_id}": {"target": _HOOK["target"]},
    "POST /v1/schedules": {"rule": _RULE},
    "POST /v1/schedules/preview": {"rule": _RULE},
    "PUT /v1/schedules/{schedule_id}": {"rule": _RULE},
    "PUT /v1/alerts/rules": {"daily_summary": None, "quiet_hours": None},
    "PATCH /v1/devices/{device_id}": {"name": "Tor 3", "site": "", "groups": [], "tags": ["door"], "notes": ""},
    "POST /v1/bulk": {"selection": {"devices": ["D1", "NOBODY"]}, "action": {"do": "trigger"}},
    "POST /v1/bulk/preview": {"selection": {"filter": "state:offline -tag:door"}},
    "POST /v1/enrol-batches": {"title": "Halle 4", "group": None, "count": 2, "devices": None},
}
"""What is taken of fields of which no schema can say it."""
_GOES = "DELETE /v1/devices/{device_id}"
"""D1 is there for all the others."""
_CHANGES, _ACCESS = "PATCH /v1/devices/{device_id}", ("active", "old_client", "token_revoked")
"""D1 gets in by its token alone, for all the others."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Every other call goes to the device that is there and says what can be meant, every other picture is one."""
    even = len(json.dumps(case.body, default=str) if case.body is not None else str(case.query)) % 2 == 0
    if even and "device_id" in (case.path_parameters or {}) and case.operation.label != _GOES:
        case.path_parameters["device_id"] = "D1"
    if even and case.query and "device_id" in case.query and "GET" in case.operation.label:
        case.query = {**case.query, "device_id": ["D1"] if isinstance(case.query["device_id"], list) else "D1"}
    if case.operation.label == "POST /v1/captures":
        _capture(case, even)
    if case.operation.label == _GOES and case.path_parameters["device_id"] == "D1":  # which an answer named
        case.path_parameters["device_id"] = "D2"
    if case.operation.label == _CHANGES and isinstance(case.body, dict) and case.path_parameters["device_id"] == "D1":
        case.body = {name: value for name, value in case.body.items() if name not in _ACCESS}
    meant = _MEANT.get(case.operation.label)
    if meant and even and case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        case.body = {**case.body, **meant}
    if even and case.headers:
        case.headers.pop(MEANT_FOR, None)


def _capture(case: Any, even: bool) -> None:
    if case.media_type == JPEG:
        told = {"device_id": "D1" if even else "NOBODY", "captured_at": "2026-11-30T12:00:00Z", "trigger_id": "fuzzed"}
        case.headers = {**(case.headers or {}), CAPTURE_HEADER: json.dumps(told)}
    elif even and case.meta.generation.mode.is_positive and isinstance(case.body, dict) and "image_base64" in case.body:
        case.body = {**case.body, "device_id": "D1", "image_base64": base64.b64encode(_PICTURE).decode()}
