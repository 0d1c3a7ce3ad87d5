"""The types of events, and what each says (docs/events.md). Pure.

The list is open: a reader passes over a type that it does not know, and fields that it does not know.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from visant_cloud.alerts.states import Cause
from visant_cloud.store.keys import organisation_of
from visant_cloud.times import time, time_or_none

if TYPE_CHECKING:
    from visant_cloud.store.alerts import Alert

TRIGGER_CREATED = "trigger.created"
TRIGGER_ENDED = "trigger.ended"
CAPTURE_STORED = "capture.stored"
DEVICE_CONNECTED = "device.connected"
DEVICE_DISCONNECTED = "device.disconnected"
DEVICE_STATE = "device.state"
DEVICE_SETTINGS = "device.settings"
ALERT_OPENED = "alert.opened"
ALERT_CLEARED = "alert.cleared"
ALERT_ACKNOWLEDGED = "alert.acknowledged"
TYPES = (
    *(TRIGGER_CREATED, TRIGGER_ENDED, CAPTURE_STORED),
    *(DEVICE_CONNECTED, DEVICE_DISCONNECTED, DEVICE_STATE, DEVICE_SETTINGS),
    *(ALERT_OPENED, ALERT_CLEARED, ALERT_ACKNOWLEDGED),
)


@dataclass(frozen=True)
class Note:
    """Something that happened, before it has a number. `data`: JSON, what is told of it."""

    type: str
    organisation_id: str
    device_key: str | None
    at: datetime
    data: dict[str, Any]


def of_device(type: str, device_key: str, at: datetime, data: dict[str, Any] | None = None) -> Note:
    """A note about a device."""
    return Note(type, organisation_of(device_key), device_key, at, data or {})


def trigger_created(device_key: str, new: Mapping[str, Any]) -> Note:
    """`new`: the row of the trigger."""
    data = {
        "trigger_id": new["trigger_id"],
        "kind": new["kind"],
        "trigger_type": new["type"],
        "expires_at": time_or_none(new["expires_at"]),
        "scheduled_for": time_or_none(new.get("scheduled_for")),
    }
    return of_device(TRIGGER_CREATED, device_key, new["created_at"], data)


def trigger_ended(
    device_key: str,
    trigger_id: str,
    kind: str,
    at: datetime,
    *,
    status: str,
    reason: str | None,
    detail: str | None = None,
    provisional: bool = False,
) -> Note:
    """`provisional`: the cloud's word about a silent device; another end may follow."""
    said = {"status": status, "reason": reason, "detail": detail, "provisional": provisional}
    return of_device(TRIGGER_ENDED, device_key, at, {"trigger_id": trigger_id, "kind": kind, **said})


def capture_stored(device_key: str, row: Mapping[str, Any]) -> Note:
    """`row`: of `captures`."""
    data = {name: row.get(name) for name in ("record_id", "trigger_id", "bytes", "width", "height")}
    return of_device(CAPTURE_STORED, device_key, row["received_at"], {**data, "captured_at": time(row["captured_at"])})


def device_state(
    device_key: str, at: datetime, before: str, state: str, since: datetime | None, causes: Iterable[Cause]
) -> Note:
    """The device's health has another state, or other causes."""
    told = [
        {"kind": one.kind, "since": time_or_none(one.since), "detail": one.detail, "remedy": one.remedy}
        for one in causes
    ]
    data = {"state": state, "before": before, "since": time_or_none(since), "causes": told}
    return of_device(DEVICE_STATE, device_key, at, data)


def device_settings(device_key: str, at: datetime, config: Mapping[str, Any], trigger_id: str | None) -> Note:
    """Somebody wants the device to be set so. `trigger_id`: under which it will report; None: it is not connected."""
    return of_device(DEVICE_SETTINGS, device_key, at, {"config": dict(config), "trigger_id": trigger_id})


def alert(type: str, row: "Alert", at: datetime) -> Note:
    """`row`: of `alerts`, as it is by then."""
    data = {
        "alert_id": row.alert_id,
        "kind": row.kind,
        "subject": row.device_id or row.subject,
        "site": row.site,
        "since": time_or_none(row.since),
        "opened_at": time(row.opened_at),
        "detail": row.detail,
        "remedy": row.remedy,
    }
    if type == ALERT_ACKNOWLEDGED:
        data |= {"acknowledged_by": row.acknowledged_by, "note": row.note}
    return Note(type, row.organisation_id, row.device_key, at, data)
