"""Pictures as people look for them: by when they were taken, over some devices or all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, func, select, text, true, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among
from visant_cloud.store.captures import COLUMNS, Capture, from_row
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import captures, devices

FEW = 50
"""Devices of which each one's pictures are asked for by itself. A larger part of a fleet is found by going through the
pictures of all: one of fifty or so is of it."""
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadCursor(ValueError):
    """It is none that this cloud gave."""


@dataclass(frozen=True)
class Wish:
    """Which pictures. Empty or None: no bound. `since` counts, `until` does not."""

    devices: ChosenDevices
    since: datetime | None = None
    until: datetime | None = None
    states: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it asks for all there is, of one device at most."""
        which = self.devices
        by_name = any(one is not None for one in (which.site, which.group, which.tag))
        return len(which.keys) < 2 and not (by_name or self.states or self.bounded)

    @property
    def bounded(self) -> bool:
        """Whether it names a time."""
        return self.since is not None or self.until is not None


def cursor_of(row: Capture) -> str:
    """Where a page that ended with this row goes on."""
    return f"{(row.captured_at - _EPOCH) // timedelta(microseconds=1)}.{row.seq}"


def _after(cursor: str) -> tuple[datetime, int]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor(f"cursor: {cursor[:40]!r} is none of this list; leave it out to begin anew")
    try:
        return _EPOCH + timedelta(microseconds=int(found[1])), int(found[2])
    except OverflowError:
        raise BadCursor(f"cursor: {cursor[:40]!r} is none of this list; leave it out to begin anew") from None


async def device_keys(connection: AsyncConnection, wish: Wish, *, after: str = "", limit: int) -> list[str]:
    """The keys of the devices that are wished for, in their order, after that one."""
    query = wish.devices.query().where(devices.c.device_key > after).order_by(devices.c.device_key).limit(limit)
    return list((await connection.execute(query)).scalars())


def _bounds(wish: Wish, after: tuple[datetime, int] | None) -> list[Any]:
    found: list[Any] = []
    if wish.since is not None:
        found.append(captures.c.captured_at >= wish.since)
    if wish.until is not None:
        found.append(captures.c.captured_at < wish.until)
    if after is not None:
        found.append(tuple_(captures.c.captured_at, captures.c.seq) < tuple_(*after))
    if wish.states:
        found.append(captures.c.state.in_(wish.states))
        if "useful" not in wish.states:
            found.append(text("state <> 'useful'"))  # as the index of the few spells it
    return found


_NEWEST_FIRST = (captures.c.captured_at.desc(), captures.c.seq.desc())


async def page(connection: AsyncConnection, wish: Wish, *, cursor: str | None, limit: int) -> list[Capture]:
    """Newest taken first. Raises BadCursor."""
    bounds = _bounds(wish, None if cursor is None else _after(cursor))
    mine = wish.devices.scope.holds(captures)
    if wish.devices.everything:
        return await _rows(connection, select(*COLUMNS).where(mine, *bounds).order_by(*_NEWEST_FIRST).limit(limit))
    keys = await device_keys(connection, wish, limit=FEW + 1)
    if not keys:
        return []
    if len(keys) > FEW:
        some = captures.c.device_key.in_(wish.devices.query())
        return await _rows(
            connection, select(*COLUMNS).where(mine, some, *bounds).order_by(*_NEWEST_FIRST).limit(limit)
        )
    newest = _of_each(connection, keys, bounds, limit)
    return await _rows(connection, newest.order_by(text("captured_at DESC, seq DESC")).limit(limit))


def _of_each(connection: AsyncConnection, keys: Sequence[str], bounds: Sequence[Any], limit: int) -> Any:
    """The newest of each of these devices. SQLite has no LATERAL, PostgreSQL plans a long UNION for long."""
    if connection.dialect.name == "postgresql":
        each = func.unnest(bindparam(None, list(keys), type_=ARRAY(Text))).table_valued("key").render_derived()
        of_one = select(*COLUMNS).where(captures.c.device_key == each.c.key, *bounds)
        newest = of_one.order_by(*_NEWEST_FIRST).limit(limit).lateral()
        return select(newest).select_from(each.join(newest, true()))
    parts = [select(*COLUMNS).where(captures.c.device_key == key, *bounds) for key in keys]
    return union_all(*(select(one.order_by(*_NEWEST_FIRST).limit(limit).subquery()) for one in parts))


async def _rows(connection: AsyncConnection, query: Any) -> list[Capture]:
    return [from_row(row) for row in await connection.execute(query)]


async def moment(
    connection: AsyncConnection, keys: Sequence[str], at: datetime, within: timedelta
) -> dict[str, Capture]:
    """device key -> its picture that was taken nearest to `at`, for those that have one no further away."""
    other = captures.alias()
    mine = other.c.device_key == devices.c.device_key
    before = select(other.c.seq).where(mine, other.c.captured_at <= at, other.c.captured_at >= at - within)
    later = select(other.c.seq).where(mine, other.c.captured_at > at, other.c.captured_at <= at + within)
    query = select(
        before.order_by(other.c.captured_at.desc(), other.c.seq.desc()).limit(1).scalar_subquery(),
        later.order_by(other.c.captured_at, other.c.seq).limit(1).scalar_subquery(),
    ).where(among(connection, devices.c.device_key, keys))
    seqs = [seq for row in await connection.execute(query) for seq in row if seq is not None]
    found: dict[str, Capture] = {}
    for row in await _rows(connection, select(*COLUMNS).where(among(connection, captures.c.seq, seqs))):
        nearest = found.get(row.device_key)
        if nearest is None or abs(row.captured_at - at) < abs(nearest.captured_at - at):
            found[row.device_key] = row
    return found


async def of_records(connection: AsyncConnection, scope: Scope, record_ids: Sequence[str]) -> list[Capture]:
    """Those of these records that the scope has, in the order in which they are named."""
    found: dict[str, Capture] = {}
    for start in range(0, len(record_ids), 500):
        named = captures.c.record_id.in_(record_ids[start : start + 500])
        query = select(*COLUMNS).where(scope.holds(captures), named)
        found.update((row.record_id, row) for row in await _rows(connection, query))
    return [found[one] for one in dict.fromkeys(record_ids) if one in found]
