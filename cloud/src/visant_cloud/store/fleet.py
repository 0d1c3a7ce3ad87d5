"""All devices of a scope: judged and sorted by the database, or read in pieces, so that no stream waits."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    column,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.json_values import to_json
from visant_cloud.store import device_states as kept
from visant_cloud.store import devices as known
from visant_cloud.store.counters import Figures
from visant_cloud.store.device_states import DeviceState
from visant_cloud.store.devices import Device
from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import device_days, device_states, devices

_PIECE = 250
"""Rows; one with its telemetry costs some 40 microseconds."""
PAGE = 100
"""Devices on a page."""
ORDER = ("degraded", "offline", "connected", "never_seen", "inactive")
"""In which the states come on it, after whatever needs a look."""


@dataclass(frozen=True)
class Wish:
    """Which devices: of that page; `words` that the id holds; `kind` a state, `troubled` or `there` (connected)."""

    page: int = 1
    words: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Sums:
    """Over all devices of a scope; `matching`: those that a wish means."""

    devices: int = 0
    connected: int = 0
    troubled: int = 0
    captures: int = 0
    matching: int = 0


async def page(
    connection: AsyncConnection, scope: Scope, day: date, streams: dict[str, int], wish: Wish
) -> tuple[Sums, dict[str, Figures]]:
    """The figures of all devices, and for a page of them device_key -> its figures from that day on: trouble first,
    then by state and id.

    `streams`: device_key -> open streams. The database sorts; ten thousand rows would cost this process more than it.
    """
    all_of = _judged(connection, scope, day, streams).cte("judged")
    meant = _meant(all_of.c, wish)
    sums = (
        func.count().over(),
        *(func.sum(_one(of)).over() for of in (all_of.c.there, all_of.c.troubled)),
        func.sum(all_of.c.captures).over(),
        func.sum(_one(meant)).over(),
    )
    rank = case({state: place for place, state in enumerate(ORDER)}, value=all_of.c.state)
    query = (
        select(*sums, meant, all_of.c.device_key, *(all_of.c[name] for name in _FIGURES))
        .order_by(_one(meant).desc(), _one(all_of.c.troubled).desc(), rank, all_of.c.device_id)
        .limit(PAGE)
        .offset((wish.page - 1) * PAGE)
    )
    rows = (await connection.execute(query)).all()
    if not rows:
        return Sums(), {}
    found = {row[6]: Figures(*(int(value) for value in row[7:])) for row in rows if row[5]}
    return Sums(*(int(value) for value in rows[0][:5])), found


_FIGURES = ("executed", "failed", "expired", "captures")


def _judged(connection: AsyncConnection, scope: Scope, day: date, streams: dict[str, int]) -> Select[Any]:
    """Each device as views/as_json.py and views/pages.py judge one (a test holds them together)."""
    days = (
        select(device_days.c.device_key, *(func.sum(device_days.c[name]).label(name) for name in _FIGURES))
        .where(device_days.c.organisation_id == scope.organisation_id, device_days.c.day >= day)
        .group_by(device_days.c.device_key)
        .subquery("days")
    )
    # joined: as a list to look through, ten thousand streams took a hundred million comparisons
    connected = streams_table(connection, streams)
    known = (
        select(
            devices.c.device_key,
            devices.c.device_id,
            devices.c.active,
            connected.c.key.is_not(None).label("there"),
            func.coalesce(connected.c.value > 1, false()).label("shared"),
            device_states.c.last_seen_at.is_not(None).label("seen"),
            func.coalesce(device_states.c.degraded, false()).label("degraded"),
            *(func.coalesce(days.c[name], 0).label(name) for name in _FIGURES),
        )
        .select_from(devices)
        .outerjoin(device_states, device_states.c.device_key == devices.c.device_key)
        .outerjoin(days, days.c.device_key == devices.c.device_key)
        .outerjoin(connected, connected.c.key == devices.c.device_key)
        .where(scope.holds(devices), devices.c.deleted_at.is_(None))
        .cte("known")
    )
    one = known.c
    state = case(
        (~one.active, "inactive"),
        (one.there & one.degraded, "degraded"),
        (one.there, "connected"),
        (one.seen, "offline"),
        else_="never_seen",
    )
    seldom = 10 * one.executed < 9 * (one.executed + one.failed + one.expired)
    troubled = or_(state.in_(("degraded", "offline")), one.shared, seldom)
    return select(
        one.device_key,
        one.device_id,
        one.there,
        state.label("state"),
        troubled.label("troubled"),
        *(one[name] for name in _FIGURES),
    )


def streams_table(connection: AsyncConnection, streams: dict[str, int]) -> Any:
    """A table of `key` and `value`, made once: SQLite would read the list anew for each row that it is joined to."""
    if connection.dialect.name == "sqlite":
        given = func.json_each(bindparam(None, to_json(streams), type_=Text)).table_valued("key", "value", name="given")
        return select(given.c.key, given.c.value).cte("streams").prefix_with("MATERIALIZED")
    columns = column("key", Text), column("value", Integer)
    keys = bindparam(None, list(streams), type_=ARRAY(Text))
    counts = bindparam(None, list(streams.values()), type_=ARRAY(Integer))
    return func.unnest(keys, counts).table_valued(*columns, name="streams").render_derived()


def _meant(one: Any, wish: Wish) -> ColumnElement[bool]:
    kinds = {"": true(), "troubled": one.troubled, "there": one.there}
    words = [func.lower(one.device_id).contains(word, autoescape=True) for word in wish.words.lower().split()]
    return and_(kinds.get(wish.kind, one.state == wish.kind), *words)


def _one(condition: Any) -> Any:
    return case((condition, 1), else_=0)


async def devices_with_states(connection: AsyncConnection, scope: Scope) -> AsyncIterator[tuple[Device, DeviceState]]:
    """Every device, by id, with all that is known of it."""
    query = (
        select(*known.COLUMNS, *kept.COLUMNS)
        .select_from(devices)
        .outerjoin(device_states, device_states.c.device_key == devices.c.device_key)
        .where(scope.holds(devices), known.THERE)
        .order_by(devices.c.device_id)
    )
    count = len(known.COLUMNS)
    async for row in _in_pieces(connection, query):
        last = kept.NEVER_SEEN if row[count] is None else DeviceState(*row[count:])
        yield Device(*row[:count]), last


async def _in_pieces(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[Any]:
    result = await connection.stream(query)
    async for piece in result.partitions(_PIECE):
        for row in piece:
            yield row
        await asyncio.sleep(0)
