"""What became of the scheduled slots, by device, day (UTC) and cause: counted as it is written, so that no page counts.

A slot counts once, in its present cause, on the day its trigger was made; one that nobody was asked for on its own day.
What is under way is not here. It is changed in the transaction that changes the trigger, after `device_days`
(device_states.py has the order of locks), which a scheduler's transaction does not touch.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Select, case, delete, func, insert, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store.keys import organisation_of
from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import device_groups, devices, group_members, slot_days, triggers

USEFUL = "useful"
MISSED = "missed"
NOT_ACTIVE = f"{MISSED}: not_active"
"""Slots of a barred device: listed, and not due."""
DAYS = 400
"""Days for which figures are kept: a year, and some to compare it with."""


class Change(NamedTuple):
    """A slot whose cause is another one from now on; `before` None: it was under way."""

    device_key: str
    day: date
    before: str | None
    after: str


def cause(status: str, reason: str | None, gap: str | None) -> str:
    """`useful`, `late`, `failed: camera_absent`: what a slot counts as whose trigger ended so."""
    if status == "executed":
        return gap or USEFUL
    return status if reason is None else f"{status}: {reason}"


async def count(connection: AsyncConnection, changes: Iterable[Change]) -> None:
    """Adds them."""
    counts: Counter[tuple[str, date, str]] = Counter()
    for one in changes:
        counts[one.device_key, one.day, one.after] += 1
        if one.before is not None:
            counts[one.device_key, one.day, one.before] -= 1
    await _add(connection, counts)


async def count_missed(connection: AsyncConnection, runs: Iterable[tuple[str, datetime, datetime, int, str]]) -> None:
    """Of runs of slots that nobody was asked for: (device_key, first, last, how many, reason)."""
    counts: Counter[tuple[str, date, str]] = Counter()
    for device_key, first, last, number, reason in runs:
        for day, missed in by_day(first, last, number).items():
            counts[device_key, day, f"{MISSED}: {reason}"] += missed
    await _add(connection, counts)


def by_day(first: datetime, last: datetime, number: int) -> dict[date, int]:
    """Day (UTC) -> slots on it, of so many in equal steps from the first to the last. Pure."""
    start, end = first.astimezone(UTC), last.astimezone(UTC)
    if number <= 1 or end <= start:
        return {start.date(): number} if number > 0 else {}
    step = (end - start) / (number - 1)
    found: dict[date, int] = {}
    before = 0
    day = start.date()
    while before < number:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        # the last one lies where it lies, however the step was rounded
        passed = number if end < midnight else min(number - 1, -((start - midnight) // step))
        if passed > before:
            found[day] = passed - before
            before = passed
        day = midnight.date()
    return found


def _adding(make: Any) -> Any:
    new = make(slot_days)
    keys = ["organisation_id", "day", "device_key", "cause"]
    return new.on_conflict_do_update(index_elements=keys, set_={"count": slot_days.c["count"] + new.excluded["count"]})


_ADD = {"sqlite": _adding(sqlite.insert), "postgresql": _adding(postgresql.insert)}


async def _add(connection: AsyncConnection, counts: Mapping[tuple[str, date, str], int]) -> None:
    rows = [_row(*place, counts[place]) for place in sorted(counts) if counts[place]]
    if rows:
        await connection.execute(_ADD[connection.dialect.name], rows if len(rows) > 1 else rows[0])


def _row(device_key: str, day: date, cause: str, number: int) -> dict[str, Any]:
    of = organisation_of(device_key)
    return {"organisation_id": of, "device_key": device_key, "day": day, "cause": cause[:120], "count": number}


async def forget(connection: AsyncConnection, before: datetime, limit: int = 1000) -> int:
    """Removes figures of days before then; returns how many rows, 0 at the end."""
    key = slot_days.c.organisation_id, slot_days.c.day, slot_days.c.device_key, slot_days.c.cause
    old = select(*key).where(slot_days.c.day < before.astimezone(UTC).date()).order_by(slot_days.c.day).limit(limit)
    return (await connection.execute(delete(slot_days).where(tuple_(*key).in_(old)))).rowcount


async def recount(connection: AsyncConnection, device_key: str, now: datetime, day: Any) -> bool:
    """Counts a device's slots anew where a trigger was made, and writes what is right; whether something was wrong.

    `day`: of `triggers.created_at`, as this database says it. Whoever calls holds the device's state.
    """
    border = now.astimezone(UTC).date() - timedelta(days=DAYS - 1)
    mine = slot_days.c.organisation_id == organisation_of(device_key), slot_days.c.device_key == device_key
    made = mine[0], mine[1], slot_days.c.day >= border, slot_days.c.cause.not_like(f"{MISSED}: %")
    kept = select(slot_days.c.day, slot_days.c.cause, slot_days.c["count"]).where(*made, slot_days.c["count"] != 0)
    before = {(on, of): number for on, of, number in await connection.execute(kept)}
    ended = select(day, triggers.c.status, triggers.c.reason, triggers.c.gap, func.count()).where(
        triggers.c.device_key == device_key,
        triggers.c.scheduled_for.is_not(None),
        triggers.c.kind == "capture",
        triggers.c.ended_at.is_not(None),
    )
    right: Counter[tuple[date, str]] = Counter()
    grouped = ended.group_by(day, triggers.c.status, triggers.c.reason, triggers.c.gap)
    for on, status, reason, gap, number in await connection.execute(grouped):
        if on >= border:
            right[on, cause(status, reason, gap)[:120]] += number
    if dict(right) == before:
        return False
    await connection.execute(delete(slot_days).where(*made))
    if right:
        await connection.execute(insert(slot_days), [_row(device_key, *place, right[place]) for place in right])
    return True


# ---- what is asked of it


@dataclass(frozen=True)
class Share:
    """Slots of a device, a site, a group, or of all."""

    name: str | None
    due: int
    useful: int


async def rate(connection: AsyncConnection, scope: Scope, first: date, device_key: str | None = None) -> Share:
    """Of a device, or (None) of all, from that day on."""
    good = func.sum(case((slot_days.c.cause == USEFUL, slot_days.c["count"]), else_=0))
    query = select(func.sum(slot_days.c["count"]), good).where(
        scope.holds(slot_days), slot_days.c.day >= first, slot_days.c.cause != NOT_ACTIVE
    )
    if device_key is not None:
        query = query.where(slot_days.c.device_key == device_key)
    due, useful = (await connection.execute(query)).one()
    return Share(None, int(due or 0), int(useful or 0))


By = Literal["device", "site", "group"]


async def causes(
    connection: AsyncConnection, organisation_id: str, first: date, until: date, chosen: Select[Any] | None
) -> dict[str, int]:
    """cause -> slots, of the days from `first` to before `until`. `chosen`: keys of the devices; None: all.

    Served by the primary key, whose first columns are organisation and day: rows of those days alone are read.
    """
    number = func.sum(slot_days.c["count"])
    query = select(slot_days.c.cause, number).where(*_of(organisation_id, first, until, chosen))
    found = {of: int(count) for of, count in await connection.execute(query.group_by(slot_days.c.cause))}
    return {of: count for of, count in found.items() if count}


async def shares(
    connection: AsyncConnection,
    organisation_id: str,
    first: date,
    until: date,
    chosen: Select[Any] | None,
    by: By,
    limit: int,
) -> list[Share]:
    """The worst first, at most `limit`. A device of several groups counts in each; one of no site in that without a
    name, one of no group in none."""
    due = func.sum(case((slot_days.c.cause != NOT_ACTIVE, slot_days.c["count"]), else_=0))
    good = func.sum(case((slot_days.c.cause == USEFUL, slot_days.c["count"]), else_=0))
    name: Any
    source: Any = slot_days
    if by == "device":
        name = slot_days.c.device_key
    elif by == "site":
        name, source = devices.c.site, slot_days.join(devices, devices.c.device_key == slot_days.c.device_key)
    else:
        name = device_groups.c.name
        members = slot_days.join(group_members, group_members.c.device_key == slot_days.c.device_key)
        source = members.join(device_groups, device_groups.c.group_id == group_members.c.group_id)
    query = select(name, due, good).select_from(source).where(*_of(organisation_id, first, until, chosen))
    query = query.group_by(name).having(due > 0).order_by((good * 10000 / due), due.desc(), name).limit(limit)
    return [Share(of, int(all_of), int(of_them)) for of, all_of, of_them in await connection.execute(query)]


def _of(organisation_id: str, first: date, until: date, chosen: Select[Any] | None) -> Collection[Any]:
    where = [slot_days.c.organisation_id == organisation_id, slot_days.c.day >= first, slot_days.c.day < until]
    return where if chosen is None else [*where, slot_days.c.device_key.in_(chosen)]
