"""What the operator's endpoints answer: rows as JSON-able dictionaries (answers.py says them by field)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, cast, get_args

from visant_cloud.alerts import states
from visant_cloud.alerts.rules import DEFAULT, Rules
from visant_cloud.alerts.states import Ended, Facts, Health, Pictures
from visant_cloud.store.captures import Capture
from visant_cloud.store.device_states import DeviceState
from visant_cloud.store.devices import Device
from visant_cloud.store.labels import NONE as NO_LABELS
from visant_cloud.store.labels import Labels
from visant_cloud.store.schedules import MissedRun, Schedule
from visant_cloud.store.triggers import Trigger
from visant_cloud.times import time, time_or_none
from visant_cloud.views.answers import CaptureRow, DeviceRow, MissedTimes, State, TriggerRow
from visant_cloud.views.quality_answers import OwnEvaluation
from visant_cloud.views.stages import stages
from visant_contract.outcome import remedy


def latency_ms(trigger: Trigger, capture: Capture | None) -> float | None:
    """From the trigger's row to the stored picture, by the cloud's clock, milliseconds."""
    if capture is None:
        return None
    return round((capture.received_at - trigger.created_at).total_seconds() * 1000, 3)


def trigger(row: Trigger, capture: Capture | None) -> TriggerRow:
    """One trigger with the picture that ended it."""
    return {
        "seq": row.seq,
        "device_id": row.device_id,
        "trigger_id": row.trigger_id,
        "kind": row.kind,
        "type": row.type,
        "status": row.status,
        "reason": row.reason,
        "detail": row.detail,
        "remedy": remedy(row.reason),
        "provisional": row.provisional,
        "created_at": time(row.created_at),
        "expires_at": time_or_none(row.expires_at),
        "sent_at": time_or_none(row.sent_at),
        "ended_at": time_or_none(row.ended_at),
        "stored_at": None if capture is None else time(capture.received_at),
        "captured_at": None if capture is None else time(capture.captured_at),
        "latency_ms": latency_ms(row, capture),
        "record_id": None if capture is None else capture.record_id,
        "schedule_id": row.schedule_id,
        "scheduled_for": time_or_none(row.scheduled_for),
        "gap": row.gap,
        "stages": stages(row, capture),
        "history": row.history,
    }


def evaluation_status(row: Capture) -> Literal["evaluated", "pending"]:
    """Whether the cloud has said something of a picture; nobody does of those that were stored before it could."""
    return "pending" if row.state is None else "evaluated"


def capture(row: Capture) -> CaptureRow:
    """One stored picture."""
    return {
        "seq": row.seq,
        "record_id": row.record_id,
        "device_id": row.device_id,
        "trigger_id": row.trigger_id,
        "trigger_label": row.trigger_label,
        "captured_at": time(row.captured_at),
        "captured_at_uncertainty": row.uncertainty,
        "received_at": time(row.received_at),
        "bytes": row.bytes,
        "width": row.width,
        "height": row.height,
        "sha256": row.sha256,
        "picture": f"/v1/captures/{row.record_id}/picture",
        "thumbnail": f"/v1/captures/{row.record_id}/thumbnail",
        "metadata": row.metadata,
        "evaluation_status": evaluation_status(row),
        "state": row.state,
        "score": row.score,
        "reason": row.reason,
        "evaluated_at": time_or_none(row.evaluated_at),
        "figures": row.figures,
        "own_evaluation": cast(OwnEvaluation | None, row.own_evaluation),
    }


def device(
    row: Device,
    last: DeviceState,
    subscribers: int,
    schedule: Schedule | None,
    health: Health,
    labels: Labels = NO_LABELS,
) -> DeviceRow:
    """One device, how many streams it holds, over all processes, and when it takes pictures by itself."""
    return {
        "device_id": row.device_id,
        "name": row.name,
        "state": state(row.active, subscribers, degraded=last.degraded, seen=last.last_seen_at is not None),
        "health": {
            "state": health.state,
            "since": time_or_none(health.since),
            "causes": [
                {"kind": one.kind, "since": time_or_none(one.since), "detail": one.detail, "remedy": one.remedy}
                for one in health.causes
            ],
        },
        "site": row.site,
        "groups": labels.groups,
        "tags": labels.tags,
        "notes": labels.notes,
        "subscribers": subscribers,
        "active": row.active,
        "access": access(row),
        "created_at": time(row.created_at),
        "last_seen_at": time_or_none(last.last_seen_at),
        "device_version": row.device_version,
        "config": row.config,
        "interval_seconds": None if schedule is None else schedule.interval_seconds,
        "next_scheduled_at": None if schedule is None else time(schedule.next_at),
        "telemetry": last.telemetry,
        "telemetry_at": time_or_none(last.telemetry_at),
    }


def health(
    row: Device,
    last: DeviceState,
    subscribers: int,
    schedule: Schedule | None,
    now: datetime,
    open_since: Mapping[str, datetime] | None = None,
    rules: Rules = DEFAULT,
    pictures: Pictures | None = None,
) -> Health:
    """How it is, by the cloud's clock. `open_since`: kinds of which an alert is open, and since when.

    `pictures`: what is said against them.
    """
    known = open_since or {}
    outcomes = [Ended._make(one) for one in last.ended]
    facts = Facts(
        active=row.active,
        connected=subscribers > 0,
        created_at=row.created_at,
        last_seen_at=last.last_seen_at,
        absent=_age(last.last_seen_at, now),
        telemetry=last.telemetry,
        telemetry_at=last.telemetry_at,
        telemetry_age=_age(last.telemetry_at, now),
        outcomes=outcomes,
        # what the cloud alone said is of a time without a connection, as far as a page can tell
        excused=states.last_silent(outcomes),
        interval=None if schedule is None else schedule.interval_seconds,
        pictures=pictures,
        open=known,
    )
    return states.health(facts, now, rules, known)


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


def missed_run(row: MissedRun) -> MissedTimes:
    """One run of scheduled times without a trigger."""
    return {"first": time(row.first_at), "last": time(row.last_at), "count": row.count, "reason": row.reason}


STATES: tuple[State, ...] = get_args(State)


def state(active: bool, subscribers: int, *, degraded: bool, seen: bool) -> State:
    """One of STATES. `degraded`: connected, and its own telemetry names a trouble."""
    if not active:
        return "inactive"
    if subscribers:
        return "degraded" if degraded else "connected"
    return "offline" if seen else "never_seen"


def access(row: Device) -> Literal["token", "revoked", "id_alone", "none"]:
    """How the device gets in: `token`, `revoked`, `id_alone` (an old client), or `none` yet."""
    if row.token_revoked:
        return "revoked"
    if row.by_id_alone:
        return "id_alone"
    return "none" if row.token_hash is None else "token"
