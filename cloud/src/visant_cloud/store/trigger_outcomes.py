"""How a trigger ends: a picture is stored, the device reports, or the cloud gives it up for now."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store import counters, device_states
from visant_cloud.store.counters import Outcome
from visant_cloud.store.database import among, insert_new
from visant_cloud.store.device_states import Locked
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import triggers
from visant_cloud.store.triggers import COLUMNS, HELD, IS_OPEN, OPEN, Kind, Trigger, from_row, locked_seqs
from visant_contract.outcome import OutcomeReport, Reason


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


_OF_DEVICE = (
    select(*COLUMNS)
    .where(triggers.c.device_key == bindparam("device"), triggers.c.trigger_id == bindparam("trigger"))
    .with_for_update(key_share=True)
)


async def _locked(
    connection: AsyncConnection, device_key: str, trigger_id: str, now: datetime, type: str, kind: Kind
) -> Trigger:
    """The trigger's row, locked, of a device whose state is; made where the trigger is unknown here (another database,
    a plain cloud's)."""
    mine = {"device": device_key, "trigger": trigger_id}
    row = (await connection.execute(_OF_DEVICE, mine)).first()
    if row is None:
        unknown = {
            "organisation_id": organisation_of(device_key),
            "device_key": device_key,
            "trigger_id": trigger_id,
            "kind": kind,
            "type": type[:50],
            "status": "sent",
            "provisional": False,
            "created_at": now,
            "history": [],
        }
        await insert_new(connection, triggers, unknown)
        row = (await connection.execute(_OF_DEVICE, mine)).one()
    return from_row(row)


async def captured(
    connection: AsyncConnection,
    device_key: str,
    trigger_id: str,
    now: datetime,
    type: str,
    held: dict[str, Locked] | None = None,
) -> None:
    """A picture is stored: it wins over every other status. `held`: the device's state, where it is locked already."""
    states = await device_states.locked(connection, [device_key]) if held is None else held
    before = await _locked(connection, device_key, trigger_id, now, type, "capture")
    if before.status != "executed":
        await _end(connection, states, before, "executed", None, None, now)


async def reported(
    connection: AsyncConnection, device_key: str, trigger_id: str, report: OutcomeReport, now: datetime
) -> Trigger:
    """The device's word: final over nothing and over the cloud's provisional one; never over a picture.

    Said again, or said after another final word, it changes nothing. Returns the row as it stands then.
    """
    kind: Kind = "update_config" if report.status == "executed" else "capture"
    type = str(report.metadata.get("trigger_type", "?"))
    states = await device_states.locked(connection, [device_key])
    before = await _locked(connection, device_key, trigger_id, now, type, kind)
    if before.status in OPEN or before.provisional:
        reason = None if report.reason is None else str(report.reason)
        return await _end(connection, states, before, report.status, reason, report.detail or None, now)
    return before


_END = (
    update(triggers)
    .where(triggers.c.seq == bindparam("trigger"))
    .values(
        {
            name: bindparam(f"new_{name}", type_=triggers.c[name].type)
            for name in ("status", "reason", "detail", "provisional", "ended_at", "history")
        }
    )
)


async def _end(
    connection: AsyncConnection,
    states: dict[str, Locked],
    before: Trigger,
    status: str,
    reason: str | None,
    detail: str | None,
    now: datetime,
) -> Trigger:
    changed: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "detail": detail,
        "provisional": False,
        "ended_at": now,
        "history": _said(before),
    }
    given = {"trigger": before.seq} | {f"new_{name}": value for name, value in changed.items()}
    await connection.execute(_END, given)
    if before.kind == "capture":
        earlier = None if before.ended_at is None else (before.status, before.reason)
        end = Outcome(before.device_key, before.seq, before.created_at, earlier, (status, reason))
        await counters.count_outcomes(connection, states, [end])
    return replace(before, **changed)


async def expire_silent(connection: AsyncConnection, before: datetime, now: datetime, limit: int = 500) -> int:
    """Says `expired` for now of triggers whose deadline passed `before` and of which nothing was heard.

    At most `limit` of them, the longest overdue first; those of a device that is busy just now come next time.
    """
    due = select(triggers.c.device_key, triggers.c.seq).where(IS_OPEN, triggers.c.expires_at < before)
    rows = (await connection.execute(due.order_by(triggers.c.expires_at).limit(limit))).all()
    if not rows:
        return 0
    states = await device_states.locked(connection, {row.device_key for row in rows}, only_free=True)
    seqs = [row.seq for row in rows if row.device_key in states]
    held = locked_seqs(among(connection, HELD.c.seq, seqs), HELD.c.ended_at.is_(None)).subquery("held")
    reason = str(Reason.DEVICE_SILENT)
    ended = await connection.execute(
        update(triggers)
        .where(triggers.c.seq == held.c.seq, IS_OPEN)
        .values(status="expired", reason=reason, provisional=True, ended_at=now)
        .returning(triggers.c.device_key, triggers.c.seq, triggers.c.created_at, triggers.c.kind)
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
    return len(all_ended)
