"""The ledger over the fleet: triggers by when they were made, newest first, filtered, a page at a time.

The order is (created_at, seq), which no later row changes; a page goes on behind the last place of the one before. A
page never looks at more than _LOOK rows: where a filter finds few, it holds fewer than asked for, and the next goes on.

What serves which query:
    all devices                      ix_triggers_organisation_id_created_at_seq
    all devices, what went wrong     ix_triggers_gaps (the same columns, of triggers with a reason or a gap)
    a device, or up to _FEW          ix_triggers_device_key_created_at_seq, of each its own part
    more devices than that           as all devices; they are many, so each page finds some
    its picture                      uq_captures_device_key_trigger_id
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Column, ColumnElement, Select, Text, and_, bindparam, column, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.json_values import to_json
from visant_cloud.database.statements import among
from visant_cloud.store.captures import Capture
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.tables import captures, device_groups, devices, triggers
from visant_cloud.store.triggers import COLUMNS, Trigger

_LOOK = 10_000
"""Rows of the index that a page looks through at most."""
_FEW = 200
"""Devices of which each is read in its own part of the index."""
_WRONG = ("failed", "expired")
IS_GAP = or_(triggers.c.reason.is_not(None), triggers.c.gap.is_not(None))
"""As the index ix_triggers_gaps has it."""
_PICTURE = [captures.c[name] for name in Capture.__dataclass_fields__]


@dataclass(frozen=True)
class Wanted:
    """Which triggers; all that is not None must fit."""

    devices: ChosenDevices = field(default_factory=ChosenDevices)
    status: str | None = None
    reason: str | None = None
    type: str | None = None
    schedule_id: int | None = None
    since: datetime | None = None
    """Made then or later."""
    until: datetime | None = None
    """Made before."""
    slots: bool = False
    """Those of schedules alone."""
    gaps: bool = False
    """Those without a picture that counts."""


class Place(NamedTuple):
    """Where a page ends."""

    created_at: datetime
    seq: int


@dataclass(frozen=True)
class Page:
    """`next`: where the next one goes on, None at the end. It may hold fewer than were asked for."""

    rows: list[tuple[Trigger, Capture | None]]
    next: Place | None


async def page(connection: AsyncConnection, wanted: Wanted, after: Place | None, limit: int) -> Page:
    """The newest of those that are wanted, or what comes after a place."""
    which = None if wanted.devices.everything else wanted.devices.query()
    keys: list[str] | None = None
    only = _only(wanted)
    if which is not None:
        keys = list((await connection.execute(which.limit(_FEW + 1))).scalars())
        if not keys:
            return Page([], None)
        if len(keys) > _FEW:
            keys = None
            only.append(triggers.c.device_key.in_(which))
    span = _span(wanted, after)
    if keys is None:
        span.append(triggers.c.organisation_id == wanted.devices.scope.organisation_id)
    if wanted.gaps or wanted.reason is not None or wanted.status in _WRONG:
        span.append(IS_GAP)
    edge = await _edge(connection, keys, span) if only else None
    if edge is not None:
        span.append(_from(edge))
    picked = _newest_of(connection, keys, COLUMNS, [*span, *only], limit).subquery("picked")
    its = and_(captures.c.device_key == picked.c.device_key, captures.c.trigger_id == picked.c.trigger_id)
    query = select(*picked.c, *_PICTURE).select_from(picked).outerjoin(captures, its)
    query = query.order_by(picked.c.created_at.desc(), picked.c.seq.desc()).limit(limit)
    count = len(COLUMNS)
    rows = [
        (Trigger(*row[:count]), None if row[count] is None else Capture(*row[count:]))
        for row in await connection.execute(query)
    ]
    if len(rows) == limit:
        return Page(rows, Place(rows[-1][0].created_at, rows[-1][0].seq))
    return Page(rows, edge)


async def _edge(connection: AsyncConnection, keys: list[str] | None, span: list[ColumnElement[bool]]) -> Place | None:
    """The last place that may be looked at; None: all may."""
    columns = [triggers.c.created_at, triggers.c.seq]
    look = _LOOK // (1 if keys is None else len(keys))
    query = _newest_of(connection, keys, columns, span, 1, after=look - 1)
    return max((Place(*row) for row in await connection.execute(query)), default=None)


def _newest_of(
    connection: AsyncConnection,
    keys: list[str] | None,
    columns: list[Column[Any]],
    where: list[ColumnElement[bool]],
    limit: int,
    after: int = 0,
) -> Select[Any]:
    """The newest of all, or so many of each of these devices, whose part of the index is read alone."""

    def newest(query: Select[Any]) -> Select[Any]:
        found = query.where(*where).order_by(triggers.c.created_at.desc(), triggers.c.seq.desc()).limit(limit)
        return found.offset(after) if after else found

    if keys is None:
        return newest(select(*columns))
    if connection.dialect.name == "sqlite":
        listed = func.json_each(bindparam(None, to_json(keys), type_=Text)).table_valued("value", name="listed")
        row = triggers.alias("part")
        mine = select(triggers.c.seq).where(triggers.c.device_key == listed.c.value)
        its = row.c.seq.in_(newest(mine).correlate(listed).scalar_subquery())
        return select(*(row.c[one.name] for one in columns)).select_from(listed.join(row, its))
    given = func.unnest(bindparam(None, keys, type_=ARRAY(Text))).table_valued(column("key", Text), name="listed")
    listed = given.render_derived()
    part = newest(select(*columns).where(triggers.c.device_key == listed.c.key)).lateral("part")
    return select(*part.c).select_from(listed.join(part, true()))


def _only(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What no index decides."""
    columns = {"status": wanted.status, "reason": wanted.reason, "type": wanted.type}
    only: list[ColumnElement[bool]] = [
        triggers.c[name] == value for name, value in columns.items() if value is not None
    ]
    if wanted.schedule_id is not None:
        only.append(triggers.c.schedule_id == wanted.schedule_id)
    if wanted.slots:
        only.append(triggers.c.scheduled_for.is_not(None))
    return only


def _span(wanted: Wanted, after: Place | None) -> list[ColumnElement[bool]]:
    made, span = triggers.c.created_at, []
    if wanted.since is not None:
        span.append(made >= wanted.since)
    if wanted.until is not None:
        span.append(made < wanted.until)
    if after is not None:
        span.append(and_(made <= after.created_at, or_(made < after.created_at, triggers.c.seq < after.seq)))
    return span


def _from(edge: Place) -> ColumnElement[bool]:
    made = triggers.c.created_at
    return and_(made >= edge.created_at, or_(made > edge.created_at, triggers.c.seq >= edge.seq))


async def has_group(connection: AsyncConnection, organisation_id: str, name: str) -> bool:
    """Whether there is a group of this name."""
    query = select(device_groups.c.group_id).where(
        device_groups.c.organisation_id == organisation_id, device_groups.c.name == name
    )
    return (await connection.execute(query)).first() is not None


class Label(NamedTuple):
    """How people call a device, and where it stands."""

    name: str | None
    site: str | None


async def labels(connection: AsyncConnection, device_keys: Iterable[str]) -> dict[str, Label]:
    """device_key -> its label."""
    query = select(devices.c.device_key, devices.c.name, devices.c.site)
    rows = await connection.execute(query.where(among(connection, devices.c.device_key, device_keys)))
    return {row.device_key: Label(row.name, row.site) for row in rows}
