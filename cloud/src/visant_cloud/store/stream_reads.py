"""What the streams of one process read: for all of them in one statement, never each for itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Integer, Row, Select, Text, any_, bindparam, column, func, select, true

from visant_cloud.store.database import Database, to_json
from visant_cloud.store.devices import Device
from visant_cloud.store.tables import UtcTime, devices, triggers
from visant_cloud.store.triggers import IS_OPEN


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trigger without an outcome, as a stream needs it."""

    seq: int
    trigger_id: str
    kind: str
    """As the row says: a newer release, or one that was taken back, may have written a word that is not in Kind."""
    type: str
    config: dict[str, Any] | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Welcome:
    """What decides whether a device's stream may go on, and which settings it is to have."""

    active: bool
    token_hash: str | None
    by_id_alone: bool
    token_revoked: bool
    config: dict[str, Any] | None


_NAMES = "names"
_AFTER = "after"


def _open(key: Any, after: Any, *columns: Any) -> Select[Any]:
    """Of one device, in order, at most `each`."""
    return (
        select(*columns)
        .where(
            triggers.c.device_key == key,
            triggers.c.seq > after,
            IS_OPEN,
            triggers.c.expires_at > bindparam("now", type_=UtcTime),
        )
        .order_by(triggers.c.seq)
        .limit(bindparam("each", type_=Integer))
    )


def _waiting_postgresql() -> Select[Any]:
    lists = bindparam(_NAMES, type_=ARRAY(Text)), bindparam(_AFTER, type_=ARRAY(BigInteger))
    asked = (
        func.unnest(*lists)
        .table_valued(column("key", Text), column("after", BigInteger), with_ordinality="place", name="asked")
        .render_derived()
    )
    row = _open(asked.c.key, asked.c.after, *(triggers.c[name] for name in Waiting.__dataclass_fields__)).lateral(
        "found"
    )
    order = asked.c.place, row.c.seq
    chosen = select(asked.c.place, *row.c).select_from(asked.join(row, true())).order_by(*order)
    return chosen.limit(bindparam("total", type_=Integer))


def _waiting_sqlite() -> Select[Any]:
    asked = func.json_each(bindparam(_NAMES, type_=Text)).table_valued("key", "value", name="asked")
    key, after = (func.json_extract(asked.c.value, f"$[{place}]") for place in (0, 1))
    row = triggers.alias("found")
    seqs = _open(key, after, triggers.c.seq).correlate(asked).scalar_subquery()
    columns = [row.c[name] for name in Waiting.__dataclass_fields__]
    chosen = select(asked.c.key + 1, *columns).select_from(asked.join(row, row.c.seq.in_(seqs)))
    return chosen.order_by(asked.c.key, row.c.seq).limit(bindparam("total", type_=Integer))


_POSTGRESQL, _SQLITE = _waiting_postgresql(), _waiting_sqlite()


async def waiting(
    database: Database, asked: Sequence[tuple[str, int]], now: datetime, each: int, total: int
) -> list[list[Waiting] | None]:
    """For each (device_key, seq) its commands after that seq with neither outcome nor passed deadline, in order.

    At most `each` of one, `total` together: None where there was no room, and the last before it may be cut short.
    """
    given: dict[str, Any] = {"now": now, "each": each, "total": total}
    if database.sqlite:
        given[_NAMES] = to_json([[_clean(key), seq] for key, seq in asked])
    else:
        given |= {_NAMES: [_clean(key) for key, _ in asked], _AFTER: [seq for _, seq in asked]}
    rows = await database.read(_SQLITE if database.sqlite else _POSTGRESQL, given)
    found: list[list[Waiting] | None] = [[] for _ in asked]
    for row in rows:
        of_one = found[row[0] - 1]
        assert of_one is not None
        of_one.append(Waiting(*_but_first(row)))
    if len(rows) == total:
        found[rows[-1][0] :] = [None] * (len(asked) - rows[-1][0])
    return found


def _among(database: Database, column: Any, values: Iterable[str]) -> tuple[Any, dict[str, Any]]:
    """`column` is one of `values`, and the parameters: the same text for any number, so it is prepared once."""
    wanted = [_clean(value) for value in values]
    if database.sqlite:
        listed = func.json_each(bindparam(_NAMES, type_=Text)).table_valued("value", name="asked")
        return column.in_(select(listed.c.value)), {_NAMES: to_json(wanted)}
    return column == any_(bindparam(_NAMES, type_=ARRAY(Text))), {_NAMES: wanted}


async def devices_by_key(database: Database, keys: Iterable[str]) -> dict[str, Device]:
    """Those of them that there are, by key."""
    chosen, given = _among(database, devices.c.device_key, keys)
    return {one.device_key: one for one in map(_device, await database.read(select(*_DEVICE).where(chosen), given))}


async def devices_by_token(database: Database, hashes: Iterable[str]) -> dict[str | None, Device]:
    """The devices that hold these tokens, by the token's hash."""
    chosen, given = _among(database, devices.c.token_hash, hashes)
    return {one.token_hash: one for one in map(_device, await database.read(select(*_DEVICE).where(chosen), given))}


_DEVICE = [devices.c[name] for name in Device.__dataclass_fields__]


def _device(row: Any) -> Device:
    return Device(*row)


async def welcome(database: Database, keys: Iterable[str]) -> dict[str, Welcome]:
    """What decides whether the streams of these devices may go on; none for a device that is not there any more."""
    table = devices.c
    chosen, given = _among(database, table.device_key, keys)
    by_id_alone = table.old_client & ~table.token_revoked & table.token_seen_at.is_(None)
    columns = table.active, table.token_hash, by_id_alone, table.token_revoked, table.config
    rows = await database.read(select(table.device_key, *columns).where(chosen), given)
    return {row[0]: Welcome(*_but_first(row)) for row in rows}


async def unsent(database: Database, now: datetime) -> list[str]:
    """The devices with a trigger that no stream has written yet, and that has not expired."""
    table = triggers.c
    query = (
        select(table.device_key)
        .distinct()
        .where(IS_OPEN, table.status == "pending", table.expires_at > bindparam("now"))
    )
    return [key for (key,) in await database.read(query, {"now": now})]


def _but_first(row: Row[Any]) -> list[Any]:
    return list(row[1:])


def _clean(value: str) -> str:
    return value.replace("\0", "\ufffd")  # as tables.Clean does it where a column is compared
