"""How a trigger ends: a picture is stored, the device reports, or the cloud gives it up for now."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among, insert_new
from visant_cloud.events import types
from visant_cloud.store import counters, device_states, events, slot_days
from visant_cloud.store.captures import Capture
from visant_cloud.store.counters import Outcome
from visant_cloud.store.device_states import DeviceGone, Locked
from visant_cloud.store.events import NotedChange
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.slot_gaps import Gap, gap_of
from visant_cloud.store.tables import triggers
from visant_cloud.store.triggers import HELD, IS_OPEN, OPEN, Kind, Trigger, first, locked_seqs, one
from visant_contract.outcome import OutcomeReport, Reason
from visant_contract.stages import read_stages


def _said(trigger: Trigger) -> list[dict[str, Any]]:
    """The history with the present outcome added, before another takes its place."""
    if trigger.ended_at is None:
        return trigger.history
    entry = {
        "status": trigger.status,
        "reason": trigger.reason,
        "detail": trigger.detail,
        "at": trigger.ended_at.isoformat(),
        "by": "cloud" if trigger.provisional else "device",
    }
    return [*trigger.history, entry]


async def _locked(
    connection: AsyncConnection,
    device_key: str,
    trigger_id: str,
    now: datetime,
    type: str,
    kind: Kind,
    held: dict[str, Locked] | None = None,
    unknown: Callable[[], None] | None = None,
) -> tuple[dict[str, Locked], Trigger]:
    """The device's state (`held`, where it is locked already) and the trigger's row, both locked; the latter is made
    where the trigger is unknown here (another database, a plain cloud's), unless `unknown` raises.

    Raises DeviceGone.
    """
    states = await device_states.locked(connection, [device_key]) if held is None else held
    if device_key not in states:
        raise DeviceGone(device_key)
    mine = one(device_key, trigger_id).with_for_update(key_share=True)
    found = await first(connection, mine)
    if found is None:
        if unknown is not None:
            unknown()
        await insert_new(
            connection,
            triggers,
            {
                "organisation_id": organisation_of(device_key),
                "device_key": device_key,
                "trigger_id": trigger_id,
                "kind": kind,
                "type": type[:50],
                "status": "sent",
                "provisional": False,
                "created_at": now,
                "history": [],
            },
        )
        found = await first(connection, mine)
        assert found is not None
    return states, found


async def captured(
    connection: AsyncConnection,
    device_key: str,
    trigger_id: str,
    now: datetime,
    type: str,
    held: dict[str, Locked] | None = None,
    picture: Capture | None = None,
) -> None:
    """A picture is stored: it wins over every other status. `held`: the device's state, where it is locked already."""
    states, before = await _locked(connection, device_key, trigger_id, now, type, "capture", held)
    if before.status != "executed":
        gap = None if picture is None else gap_of(before, picture)
        await _end(connection, states, before, "executed", None, None, now, gap=gap)


async def judged(connection: AsyncConnection, device_key: str, trigger_id: str, useful: bool) -> None:
    """The picture of a trigger has another verdict: where it is of a slot, that counts so from now on."""
    await device_states.locked(connection, [device_key])
    before = await first(connection, one(device_key, trigger_id).with_for_update(key_share=True))
    if before is None or before.status != "executed" or before.scheduled_for is None:
        return
    gap: Gap | None = None if useful else "not_useful"
    if before.gap == gap or before.gap in ("late", "not_fresh"):
        return
    await connection.execute(update(triggers).where(triggers.c.seq == before.seq).values(gap=gap))
    await slot_days.count(connection, [_slot(before, "executed", None, gap)])


async def reported(
    connection: AsyncConnection,
    device_key: str,
    trigger_id: str,
    report: OutcomeReport,
    now: datetime,
    unknown: Callable[[], None] | None = None,
) -> Trigger:
    """The device's word: final over nothing and over the cloud's provisional one; never over a picture.

    Said again, or said after another final word, it changes nothing. Returns the row as it stands then. `unknown` is
    called before a row is made for a trigger that this cloud does not know, and may raise.
    """
    kind: Kind = "update_config" if report.status == "executed" else "capture"
    type = str(report.metadata.get("trigger_type", "?"))
    states, before = await _locked(connection, device_key, trigger_id, now, type, kind, unknown=unknown)
    if before.status in OPEN or before.provisional:
        reason = None if report.reason is None else str(report.reason)
        stages: dict[str, Any] = {
            name: stage.model_dump(mode="json") for name, stage in read_stages(report.metadata).items()
        }
        return await _end(
            connection, states, before, report.status, reason, report.detail or None, now, stages=stages or None
        )
    return before


_SET_END = (
    update(triggers)
    .where(triggers.c.seq == bindparam("trigger"))
    .values(
        {
            name: bindparam(f"new_{name}", type_=triggers.c[name].type)
            for name in ("status", "reason", "detail", "provisional", "ended_at", "history", "gap", "stages")
        }
    )
    .returning(triggers.c.seq)
)
_END = NotedChange(_SET_END, _SET_END)
"""Made once: to build a statement costs more than to run it."""


async def _end(
    connection: AsyncConnection,
    states: dict[str, Locked],
    before: Trigger,
    status: str,
    reason: str | None,
    detail: str | None,
    now: datetime,
    gap: Gap | None = None,
    stages: dict[str, Any] | None = None,
) -> Trigger:
    changed: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "detail": detail,
        "provisional": False,
        "ended_at": now,
        "history": _said(before),
        "gap": gap,
        "stages": stages,
    }
    given = {"trigger": before.seq, **{f"new_{name}": changed[name] for name in changed}}
    happened = types.trigger_ended(
        before.device_key, before.trigger_id, before.kind, now, status=status, reason=reason, detail=detail
    )
    await _END.run(connection, given, happened)
    if before.kind == "capture":
        earlier = None if before.ended_at is None else (before.status, before.reason)
        end = Outcome(before.device_key, before.seq, before.created_at, earlier, (status, reason))
        await counters.count_outcomes(connection, states, [end])
        if before.scheduled_for is not None:
            await slot_days.count(connection, [_slot(before, status, reason, gap)])
    return replace(before, **changed)


def _slot(before: Trigger, status: str, reason: str | None, gap: str | None) -> slot_days.Change:
    was = None if before.ended_at is None else slot_days.cause(before.status, before.reason, before.gap)
    day = before.created_at.astimezone(UTC).date()
    return slot_days.Change(before.device_key, day, was, slot_days.cause(status, reason, gap))


_EXPIRED = ("device_key", "trigger_id", "seq", "created_at", "kind", "scheduled_for")


async def expire_silent(
    connection: AsyncConnection, before: datetime, now: datetime, limit: int = 500
) -> list[tuple[str, str]]:
    """Says `expired` for now of triggers whose deadline passed `before` and of which nothing was heard; returns the
    (device_key, trigger_id) of each.

    At most `limit` of them, the longest overdue first; those of a device that is busy just now come next time.
    """
    due = select(triggers.c.device_key, triggers.c.seq).where(IS_OPEN, triggers.c.expires_at < before)
    rows = (await connection.execute(due.order_by(triggers.c.expires_at).limit(limit))).all()
    if not rows:
        return []
    states = await device_states.locked(connection, {row.device_key for row in rows}, only_free=True)
    seqs = [row.seq for row in rows if row.device_key in states]
    held = locked_seqs(among(connection, HELD.c.seq, seqs), HELD.c.ended_at.is_(None)).subquery("held")
    reason = str(Reason.DEVICE_SILENT)
    ended = await connection.execute(
        update(triggers)
        .where(triggers.c.seq == held.c.seq, IS_OPEN)
        .values(status="expired", reason=reason, provisional=True, ended_at=now)
        .returning(*(triggers.c[name] for name in _EXPIRED))
    )
    all_ended = ended.all()
    await counters.count_outcomes(
        connection,
        states,
        [
            Outcome(row.device_key, row.seq, row.created_at, None, ("expired", reason))
            for row in all_ended
            if row.kind == "capture"
        ],
    )
    silent = slot_days.cause("expired", reason, None)
    slots = [row for row in all_ended if row.scheduled_for is not None and row.kind == "capture"]
    days = [(row.device_key, row.created_at.astimezone(UTC).date()) for row in slots]
    await slot_days.count(connection, [slot_days.Change(key, day, None, silent) for key, day in days])
    happened = (
        types.trigger_ended(
            row.device_key, row.trigger_id, row.kind, now, status="expired", reason=reason, provisional=True
        )
        for row in all_ended
    )
    await events.note(connection, *happened)
    return [(row.device_key, row.trigger_id) for row in all_ended]
