"""How many triggers ended how, and how many pictures came: kept as they are written, so that no page counts.

A row of `device_days` for each device and day (UTC). A capture trigger that ended counts once, in its present status,
on the day it was made; what is under way is not here. A picture counts on the day it was received, removed or not.
Beside it, over everything kept, each device's row of `device_states` has a figure for each status and reason.
All of it is changed in the transaction that changes the trigger, while the device's row is locked (device_states.py).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Date,
    delete,
    extract,
    func,
    insert,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store import device_states, slot_days
from visant_cloud.store.device_states import Locked
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import captures, device_days, triggers
from visant_cloud.store.tables import device_states as states

ENDED = ("executed", "failed", "expired")
_COUNTED = (*ENDED, "captures", "bytes")
KEEP_DAYS = 62
"""Days that have a row of their own; older ones are added up into a row for each device and month."""
_ROLL_UP_LOCK = 0x7669_7361_6E75  # beside schema.py's


@dataclass(frozen=True)
class Figures:
    """Of some days, added up. `bytes` of the pictures received."""

    executed: int = 0
    failed: int = 0
    expired: int = 0
    captures: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """A capture trigger that ends, or ends otherwise than before. `before`: (status, reason) where it had ended."""

    device_key: str
    seq: int
    made_at: datetime
    before: tuple[str, str | None] | None
    after: tuple[str, str | None]


def yesterday(now: datetime) -> date:
    """The first day of those that pages show: today and yesterday, UTC."""
    return now.astimezone(UTC).date() - timedelta(days=1)


async def count_outcomes(connection: AsyncConnection, held: dict[str, Locked], outcomes: Iterable[Outcome]) -> None:
    """Adds them to the rows that `held` gives, of devices that are locked, and to their days."""
    changed: dict[str, Locked] = {}
    days: Counter[tuple[str, date, str]] = Counter()
    for one in outcomes:
        if one.before == one.after:
            continue
        key, day = one.device_key, one.made_at.astimezone(UTC).date()
        days[key, day, one.after[0]] += 1
        if one.before is not None:
            days[key, day, one.before[0]] -= 1
        if (state := changed.get(key, held.get(key))) is not None:
            changed[key] = _added(state, one)
    await device_states.write(connection, changed)
    await _add(connection, days)


def _added(state: Locked, one: Outcome) -> Locked:
    totals = Counter(state.outcomes)
    totals[_name(*one.after)] += 1
    if one.before is not None:
        totals[_name(*one.before)] -= 1
    return replace(
        state,
        strip=device_states.with_outcome(state.strip, one.seq, *one.after),
        outcomes={name: count for name, count in totals.items() if count},
    )


def _name(status: str, reason: str | None) -> str:
    return status if reason is None else f"{status}: {reason}"


async def count_capture(connection: AsyncConnection, device_key: str, received_at: datetime, size: int) -> None:
    """A picture of so many bytes was received."""
    day = received_at.astimezone(UTC).date()
    await _add(connection, Counter({(device_key, day, "captures"): 1, (device_key, day, "bytes"): size}))


def _adding(make: Any) -> Any:
    new = make(device_days)
    added = {name: device_days.c[name] + new.excluded[name] for name in _COUNTED}
    return new.on_conflict_do_update(index_elements=["organisation_id", "day", "device_key"], set_=added)


_ADD = {"sqlite": _adding(sqlite.insert), "postgresql": _adding(postgresql.insert)}


async def _add(connection: AsyncConnection, counts: Counter[tuple[str, date, str]]) -> None:
    rows: dict[tuple[str, date], dict[str, Any]] = {}
    for (key, day, column), count in counts.items():
        if count:
            empty = {
                "organisation_id": organisation_of(key),
                "device_key": key,
                "day": day,
                **dict.fromkeys(_COUNTED, 0),
            }
            rows.setdefault((key, day), empty)[column] = count
    given = [rows[place] for place in sorted(rows)]
    if given:
        await connection.execute(_ADD[connection.dialect.name], given if len(given) > 1 else given[0])


async def since(connection: AsyncConnection, device_key: str, day: date) -> Figures:
    """The figures of a device from that day on."""
    sums = (func.sum(device_days.c[name]) for name in _COUNTED)
    query = select(*sums).where(_of(device_key), device_days.c.day >= day, device_days.c.device_key == device_key)
    return Figures(*(int(value or 0) for value in (await connection.execute(query)).one()))


def _of(device_key: str) -> Any:
    return device_days.c.organisation_id == organisation_of(device_key)


async def totals(connection: AsyncConnection, organisation_id: str) -> dict[tuple[str, str], int]:
    """(status, reason or "") -> capture triggers that ended so, over everything kept."""
    each = func.json_each if connection.dialect.name == "sqlite" else func.json_each_text
    pairs = each(states.c.outcomes).table_valued("key", "value")
    number = func.sum(pairs.c.value.cast(BigInteger))
    query = select(pairs.c.key, number).select_from(states).join(pairs, true())
    query = query.where(states.c.organisation_id == organisation_id).group_by(pairs.c.key)
    found: dict[tuple[str, str], int] = {}
    for name, count in await connection.execute(query):
        status, _, reason = name.partition(": ")
        found[status, reason] = int(count)
    return found


async def roll_up(connection: AsyncConnection, now: datetime, limit: int = 1000) -> int:
    """Adds up days older than KEEP_DAYS into the first of their month; returns how many rows went, 0 at the end.

    One process does it at a time. An outcome that comes later for such a day makes a row that the next round adds.
    """
    if connection.dialect.name != "sqlite":
        alone = await connection.execute(text(f"SELECT pg_try_advisory_xact_lock({_ROLL_UP_LOCK})"))
        if not alone.scalar():
            return 0
    border = now.astimezone(UTC).date() - timedelta(days=KEEP_DAYS)
    key = (device_days.c.organisation_id, device_days.c.day, device_days.c.device_key)
    old = select(*key).where(device_days.c.day < border, extract("day", device_days.c.day) != 1)
    gone = await connection.execute(
        delete(device_days)
        .where(tuple_(*key).in_(old.order_by(device_days.c.device_key, device_days.c.day).limit(limit)))
        .returning(device_days.c.device_key, device_days.c.day, *(device_days.c[name] for name in _COUNTED))
    )
    sums: Counter[tuple[str, date, str]] = Counter()
    count = 0
    for device_key, day, *values in gone:
        count += 1
        for name, value in zip(_COUNTED, values, strict=True):
            sums[device_key, day.replace(day=1), name] += value
    await _add(connection, sums)
    return count


async def recount(connection: AsyncConnection, device_key: str, now: datetime) -> bool:
    """Counts a device's triggers and pictures, and writes what is right; returns whether something was wrong.

    Of pictures that retention removed nothing is left to count: a day keeps the higher figure.
    """
    states_held = await device_states.locked(connection, [device_key])
    if device_key not in states_held:
        return False
    border = now.astimezone(UTC).date() - timedelta(days=KEEP_DAYS)
    days = await _kept_days(connection, device_key, border)
    before = states_held[device_key], (await device_states.newest(connection, [device_key])).get(device_key), days
    right_days = await _counted_days(connection, device_key, border)
    for day, kept in days.items():
        counted = right_days.get(day, Figures())
        most = {"captures": max(kept.captures, counted.captures), "bytes": max(kept.bytes, counted.bytes)}
        right_days[day] = replace(counted, **most)
    right_days = {day: figures for day, figures in right_days.items() if figures != Figures()}
    newest = await device_states.find_newest(connection, device_key)
    right = await _counted_outcomes(connection, device_key), newest, right_days
    slots = await slot_days.recount(connection, device_key, now, _day(connection, triggers.c.created_at))
    if right == before:
        return slots
    await device_states.write(connection, {device_key: right[0]})
    await device_states.set_newest(connection, device_key, newest)
    await connection.execute(delete(device_days).where(device_days.c.device_key == device_key, _of(device_key)))
    organisation_id = organisation_of(device_key)
    rows = [
        {"organisation_id": organisation_id, "device_key": device_key, "day": day, **vars(figures)}
        for day, figures in right_days.items()
    ]
    if rows:
        await connection.execute(insert(device_days), rows)
    return True


def _rolled(day: date, border: date) -> date:
    return day if day >= border else day.replace(day=1)


async def _kept_days(connection: AsyncConnection, device_key: str, border: date) -> dict[date, Figures]:
    query = select(device_days.c.day, *(device_days.c[name] for name in _COUNTED))
    sums: dict[date, list[int]] = {}
    for day, *values in await connection.execute(query.where(device_days.c.device_key == device_key, _of(device_key))):
        place = _rolled(day, border)
        sums[place] = [have + more for have, more in zip(sums.get(place, [0] * len(values)), values, strict=True)]
    found = {day: Figures(*values) for day, values in sums.items()}
    return {day: figures for day, figures in found.items() if figures != Figures()}


async def _counted_days(connection: AsyncConnection, device_key: str, border: date) -> dict[date, Figures]:
    sums: dict[date, Counter[str]] = {}
    made = _day(connection, triggers.c.created_at)
    ended = select(made, triggers.c.status, func.count()).where(*_ended(device_key)).group_by(made, triggers.c.status)
    for day, status, count in await connection.execute(ended):
        sums.setdefault(_rolled(day, border), Counter())[status] += count
    received = _day(connection, captures.c.received_at)
    pictures = select(received, func.count(), func.sum(captures.c.bytes)).where(captures.c.device_key == device_key)
    for day, count, size in await connection.execute(pictures.group_by(received)):
        sums.setdefault(_rolled(day, border), Counter()).update(captures=count, bytes=int(size))
    return {day: Figures(**counts) for day, counts in sums.items()}


async def _counted_outcomes(connection: AsyncConnection, device_key: str) -> Locked:
    outcomes = select(triggers.c.status, triggers.c.reason, func.count()).where(*_ended(device_key))
    rows = await connection.execute(outcomes.group_by(triggers.c.status, triggers.c.reason))
    totals = {_name(status, reason): count for status, reason, count in rows}
    last = select(triggers.c.seq, triggers.c.status, triggers.c.reason).where(*_ended(device_key))
    strip: device_states.Strip = []
    for row in await connection.execute(last.order_by(triggers.c.seq.desc()).limit(device_states.STRIP)):
        strip = device_states.with_outcome(strip, *row)
    return Locked(strip, totals)


def _ended(device_key: str) -> tuple[Any, ...]:
    return triggers.c.device_key == device_key, triggers.c.kind == "capture", triggers.c.ended_at.is_not(None)


def _day(connection: AsyncConnection, moment: Any) -> Any:
    if connection.dialect.name == "sqlite":
        return func.date(moment, type_=Date)
    return func.timezone(literal_column("'UTC'"), moment).cast(Date)
