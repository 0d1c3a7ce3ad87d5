"""Shared schedules as the API answers them and as a device's page shows them."""

from collections.abc import Mapping
from datetime import datetime

from visant_cloud.schedules import words
from visant_cloud.schedules.rule import Rule
from visant_cloud.schedules.spread import delay
from visant_cloud.store.schedule_targets import Targets
from visant_cloud.store.shared_schedules import SharedSchedule
from visant_cloud.times import time, time_or_none
from visant_cloud.views.schedule_answers import (
    AppliedSchedule,
    Firing,
    Firings,
    SharedScheduleDetail,
    SharedScheduleRow,
)


def row(found: SharedSchedule, devices: int) -> SharedScheduleRow:
    """One schedule."""
    return {
        "schedule_id": found.schedule_id,
        "name": found.name,
        "active": found.active,
        "rule": found.rule,
        "text": words.rule_in_words(found.rule),
        "next_at": time_or_none(found.next_at),
        "devices": devices,
        "version": found.version,
        "created_at": time(found.created_at),
        "updated_at": time(found.updated_at),
    }


def detail(found: SharedSchedule, devices: int, targets: Targets) -> SharedScheduleDetail:
    """The same with what it is attached to."""
    attached = {"devices": targets.devices, "groups": targets.groups, "tags": targets.tags}
    return {**row(found, devices), "attached": attached}  # type: ignore[typeddict-item]


def firing(rule: Rule, slot: datetime) -> Firing:
    """One slot of this rule."""
    one = words.firing(rule, slot)
    return {"at": time(one.at), "local": one.local.isoformat(), "text": one.text, "note": one.note}


def firings(rule: Rule, slots: list[datetime]) -> Firings:
    """These slots of this rule."""
    return {"text": words.rule_in_words(rule), "zone": rule.zone, "firings": [firing(rule, one) for one in slots]}


def applied(found: SharedSchedule, device_key: str, waiting: Mapping[int, datetime]) -> AppliedSchedule:
    """What a device has of a schedule. `waiting`: of slots that have come for it, by schedule."""
    next_at = waiting.get(found.schedule_id)
    if next_at is None and found.next_at is not None:
        next_at = found.next_at + delay(found.schedule_id, device_key, found.rule.jitter_seconds)
    return {
        "schedule_id": found.schedule_id,
        "name": found.name,
        "active": found.active,
        "text": words.rule_in_words(found.rule),
        "next_at": time_or_none(next_at),
    }
