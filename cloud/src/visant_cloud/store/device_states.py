"""What changes all the time about a device: seen when, its telemetry, its newest picture, its last outcomes.

A row for each of `devices`, apart from it, so that what comes in every second neither waits for nor holds up who is let
in. The row is also what orders all that is written of one device's outcomes. A transaction that needs more than one
lock takes them in this order, and each kind in the order of its key, or two of them would wait for each other for ever:

    the row of `captures` -> the rows here -> the row of `device_quality` -> the rows of `triggers`
    -> the rows of `device_days`
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among, insert_new
from visant_cloud.store.keys import organisation_of
from visant_cloud.store.tables import captures, device_states

STRIP = 30
"""Outcomes that a strip holds."""
_LETTERS = {"executed": "e", "failed": "f", "expired": "x"}
_WORDS = {letter: word for word, letter in _LETTERS.items()}

Strip = list[list[Any]]
"""[[seq of the trigger, letter of its status, reason (left out where there is none)], ...], lowest seq first."""


@dataclass(frozen=True)
class DeviceState:
    """One row of `device_states`, as it is shown."""

    device_key: str
    last_seen_at: datetime | None
    telemetry: dict[str, Any] | None
    telemetry_at: datetime | None
    degraded: bool
    """What the telemetry says."""
    newest_record_id: str | None
    """The picture received last, as far as it is kept."""
    newest_captured_at: datetime | None
    strip: Strip

    @property
    def ended(self) -> list[tuple[int, str, str | None]]:
        """(seq, status, reason) of the same triggers as `last_outcomes`."""
        return [(int(seq), _WORDS[letter], reason[0] if reason else None) for seq, letter, *reason in self.strip]

    @property
    def last_outcomes(self) -> list[tuple[str, str | None]]:
        """(status, reason) of the last STRIP triggers that ended, oldest of them first."""
        return [(status, reason) for _, status, reason in self.ended]


class DeviceGone(Exception):
    """What came is of a device that was deleted as it came."""


NEVER_SEEN = DeviceState("", None, None, None, False, None, None, [])
"""Of a device whose row is not there."""

COLUMNS = [device_states.c[name] for name in DeviceState.__dataclass_fields__]
_ONE_MORE = device_states.c.changes + 1


@dataclass(frozen=True)
class Newest:
    """The picture that a device's row names as its newest; `seq` is its place among all of `captures`."""

    seq: int
    record_id: str
    captured_at: datetime


@dataclass(frozen=True)
class Locked:
    """What the outcomes of a device are added to, while nobody else adds."""

    strip: Strip
    outcomes: dict[str, int]
    """`executed` or `failed: camera_absent` -> triggers that ended so, over everything kept."""


async def create(connection: AsyncConnection, device_key: str) -> None:
    """The row of a new device."""
    row = {"organisation_id": organisation_of(device_key), "device_key": device_key, "strip": [], "outcomes": {}}
    await insert_new(connection, device_states, row)


async def find(connection: AsyncConnection, device_key: str) -> DeviceState:
    """What is known; nothing where there is no such device."""
    row = (await connection.execute(select(*COLUMNS).where(device_states.c.device_key == device_key))).one_or_none()
    return NEVER_SEEN if row is None else DeviceState(*row)


async def of_devices(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, DeviceState]:
    """device_key -> what is known of it."""
    query = select(*COLUMNS).where(among(connection, device_states.c.device_key, device_keys))
    return {row.device_key: DeviceState(*row) for row in await connection.execute(query)}


async def mark_seen(connection: AsyncConnection, device_keys: Iterable[str], now: datetime) -> None:
    """These devices were heard of just now."""
    mine = device_states.alias("mine")
    rows = select(mine.c.device_key).where(among(connection, mine.c.device_key, device_keys))
    held = rows.order_by(mine.c.device_key).with_for_update(key_share=True).subquery("held")
    await connection.execute(
        update(device_states).where(device_states.c.device_key == held.c.device_key).values(last_seen_at=now)
    )


async def note_telemetry(connection: AsyncConnection, device_key: str, told: dict[str, Any], now: datetime) -> None:
    """The device's health; the newest is kept."""
    degraded = told.get("state") == "degraded"
    await connection.execute(
        update(device_states)
        .where(device_states.c.device_key == device_key)
        .values(telemetry=told, telemetry_at=now, last_seen_at=now, degraded=degraded, changes=_ONE_MORE)
    )


def _newer(name: str) -> Any:
    column = device_states.c[f"newest_{name}"]
    kept = device_states.c.newest_seq
    newer = or_(kept.is_(None), kept < bindparam("seq", type_=kept.type))
    return case((newer, bindparam(name, type_=column.type)), else_=column)


_NOTE_NEWEST = (
    update(device_states)
    .where(device_states.c.device_key == bindparam("key"))
    .values({f"newest_{name}": _newer(name) for name in Newest.__dataclass_fields__})
    .returning(device_states.c.strip, device_states.c.outcomes)
)


async def note_newest(connection: AsyncConnection, device_key: str, stored: Newest) -> dict[str, Locked]:
    """A stored picture: the newest, unless one with a higher seq was faster. Returns what `locked` does: the row is
    held either way."""
    row = (await connection.execute(_NOTE_NEWEST, {"key": device_key, **vars(stored)})).one_or_none()
    return {} if row is None else {device_key: Locked(*row)}


async def newest(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, Newest]:
    """device_key -> its newest picture, for those that have one; the rows stay locked."""
    columns = [device_states.c[f"newest_{name}"] for name in Newest.__dataclass_fields__]
    query = (
        select(device_states.c.device_key, *columns)
        .where(among(connection, device_states.c.device_key, device_keys))
        .order_by(device_states.c.device_key)
        .with_for_update(key_share=True)
    )
    return {key: Newest(seq, *rest) for key, seq, *rest in await connection.execute(query) if seq is not None}


async def find_newest(connection: AsyncConnection, device_key: str) -> Newest | None:
    """The same, looked for among the pictures."""
    columns = [captures.c[name] for name in Newest.__dataclass_fields__]
    query = select(*columns).where(captures.c.device_key == device_key).order_by(captures.c.seq.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Newest(*row)


async def set_newest(connection: AsyncConnection, device_key: str, found: Newest | None) -> None:
    """What `find_newest` found, of a device whose row is locked."""
    values = dict.fromkeys(Newest.__dataclass_fields__) if found is None else vars(found)
    await connection.execute(
        update(device_states)
        .where(device_states.c.device_key == device_key)
        .values({f"newest_{name}": value for name, value in values.items()})
    )


async def locked(
    connection: AsyncConnection, device_keys: Collection[str], *, only_free: bool = False
) -> dict[str, Locked]:
    """device_key -> what outcomes are added to, held until the end of the transaction.

    `only_free`: those that another transaction holds are left out, not waited for.
    """
    query = (
        select(device_states.c.device_key, device_states.c.strip, device_states.c.outcomes)
        .where(among(connection, device_states.c.device_key, device_keys))
        .order_by(device_states.c.device_key)
        .with_for_update(key_share=True, skip_locked=only_free)
    )
    return {key: Locked(strip, outcomes) for key, strip, outcomes in await connection.execute(query)}


_WRITE = (
    update(device_states)
    .where(device_states.c.device_key == bindparam("key"))
    .values(strip=bindparam("new_strip"), outcomes=bindparam("new_outcomes"), changes=_ONE_MORE)
)


async def write(connection: AsyncConnection, changed: dict[str, Locked]) -> None:
    """The rows that `locked` gave, changed."""
    rows = [{"key": key, "new_strip": one.strip, "new_outcomes": one.outcomes} for key, one in changed.items()]
    if rows:
        await connection.execute(_WRITE, rows if len(rows) > 1 else rows[0])


_STATE = (
    update(device_states)
    .where(device_states.c.device_key == bindparam("key"))
    .values(stated=bindparam("new_stated", type_=device_states.c.stated.type))
)


async def put_stated(connection: AsyncConnection, stated: dict[str, dict[str, Any]]) -> None:
    """device_key -> what events told of it (alerts/engine.py, Stated)."""
    rows = [{"key": key, "new_stated": stated[key]} for key in sorted(stated)]
    if rows:
        await connection.execute(_STATE, rows)


def with_outcome(strip: Strip, seq: int, status: str, reason: str | None) -> Strip:
    """The strip with this outcome in its place: another of the same trigger is replaced, the oldest falls out. Pure."""
    entry = [seq, _LETTERS[status]] if reason is None else [seq, _LETTERS[status], reason]
    others = [one for one in strip if one[0] != seq]
    return sorted([*others, entry], key=lambda one: int(one[0]))[-STRIP:]
