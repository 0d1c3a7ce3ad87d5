"""Slots and their figures as the API answers them."""

from collections.abc import Sequence
from datetime import date, datetime

from visant_cloud.store.captures import Capture
from visant_cloud.store.keys import device_id_of
from visant_cloud.store.schedules import MissedRun
from visant_cloud.store.slot_days import MISSED, NOT_ACTIVE, USEFUL, By, Share
from visant_cloud.store.triggers import Trigger
from visant_cloud.times import time, time_or_none
from visant_cloud.views import as_json
from visant_cloud.views.ledger_answers import GapCount, SlotPage, SlotRow, SlotShare, SlotSummary
from visant_contract.outcome import remedy

_REMEDY = {
    "late": "The picture came after its slot's deadline: look at the device's connection, or give the slot longer.",
    "not_fresh": "The picture is older than its slot: the device's clock or its client is wrong.",
    "not_useful": "The picture shows nothing of use: look at it, then at lens, light and mounting.",
    "missed: late": "The cloud was away or too busy to ask: look at its log and at /metrics.",
    "missed: not_active": "The device is barred: set it active.",
}
"""Of what no trigger's reason explains."""


def slots(
    since: datetime,
    until: datetime,
    rows: Sequence[tuple[Trigger, Capture | None]],
    missed: Sequence[MissedRun],
    next: str | None,
) -> SlotPage:
    """A page of slots; `missed`: runs of those that nobody was asked for."""
    return {
        "from": time(since),
        "to": time(until),
        "slots": [slot(*row) for row in rows],
        "missed": [{"device_id": device_id_of(run.device_key), **as_json.missed_run(run)} for run in missed],
        "next": next,
    }


def slot(row: Trigger, capture: Capture | None) -> SlotRow:
    """One scheduled time of which a trigger was made."""
    assert row.scheduled_for is not None
    cause = gap(row)
    return {
        "device_id": row.device_id,
        "scheduled_for": time(row.scheduled_for),
        "deadline": time_or_none(row.expires_at),
        "state": "waiting" if row.ended_at is None else "useful" if cause is None else "gap",
        "cause": cause,
        "reason": row.reason,
        "remedy": remedy(row.reason) or _REMEDY.get(cause or ""),
        "trigger_id": row.trigger_id,
        "captured_at": None if capture is None else time(capture.captured_at),
        "stored_at": None if capture is None else time(capture.received_at),
        "record_id": None if capture is None else capture.record_id,
    }


def gap(row: Trigger) -> str | None:
    """Why a slot has no picture that counts: failed, expired, late, not_fresh, not_useful; None: it has, or waits."""
    if row.ended_at is None:
        return None
    return row.gap if row.status == "executed" else row.status


def summary(first: date, until: date, causes: dict[str, int], shares: Sequence[Share], by: By | None) -> SlotSummary:
    """The figures of some days."""
    due = sum(count for cause, count in causes.items() if cause != NOT_ACTIVE)
    good = causes.get(USEFUL, 0)
    gaps = sorted((-count, cause) for cause, count in causes.items() if cause not in (USEFUL, NOT_ACTIVE))
    return {
        "from": first.isoformat(),
        "to": until.isoformat(),
        "due": due,
        "useful": good,
        "percent": percent(good, due),
        "not_active": causes.get(NOT_ACTIVE, 0),
        "gaps": [_gap(cause, -count) for count, cause in gaps],
        "by": [_share(one, by) for one in shares],
    }


def _gap(named: str, count: int) -> GapCount:
    cause, _, reason = named.partition(": ")
    known = _REMEDY.get(named) or (None if cause == MISSED else remedy(reason or None))
    return {"cause": cause, "reason": reason or None, "remedy": known, "count": count}


def _share(one: Share, by: By | None) -> SlotShare:
    name = device_id_of(one.name) if by == "device" and one.name is not None else one.name
    return {"name": name, "due": one.due, "useful": one.useful, "percent": percent(one.useful, one.due)}


def percent(good: int, due: int) -> float | None:
    """Never 100 where one is missing, nor 0 where one is there."""
    if due == 0:
        return None
    shown = round(100 * good / due, 2)
    if 0 < good < due:
        return min(max(shown, 0.01), 99.99)
    return shown
