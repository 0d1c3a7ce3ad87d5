"""What the streams of one process read: for all of them in one statement, never each for itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Integer, Row, Select, Text, bindparam, column, func, select, true

from visant_cloud.database.column_types import UtcTime
from visant_cloud.database.engine import Database
from visant_cloud.database.json_values import to_json
from visant_cloud.database.statements import among
from visant_cloud.store.tables import devices, triggers
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


def waiting_statement(
    sqlite: bool, asked: Sequence[tuple[str, int]], now: datetime, each: int, total: int
) -> tuple[Select[Any], dict[str, Any]]:
    """What `waiting` runs, and its parameters."""
    given: dict[str, Any] = {"now": now, "each": each, "total": total}
    if sqlite:
        return _SQLITE, given | {_NAMES: to_json(list(asked))}
    return _POSTGRESQL, given | {_NAMES: [key for key, _ in asked], _AFTER: [seq for _, seq in asked]}


async def waiting(
    database: Database, asked: Sequence[tuple[str, int]], now: datetime, each: int, total: int
) -> list[list[Waiting] | None]:
    """For each (device_key, seq) its commands after that seq with neither outcome nor passed deadline, in order.

    At most `each` of one, `total` together: None where there was no room, and the last before it may be cut short.
    """
    rows = await database.read(*waiting_statement(database.sqlite, asked, now, each, total))
    found: list[list[Waiting] | None] = [[] for _ in asked]
    for row in rows:
        of_one = found[row[0] - 1]
        assert of_one is not None
        of_one.append(Waiting(*_but_first(row)))
    if len(rows) == total:
        found[rows[-1][0] :] = [None] * (len(asked) - rows[-1][0])
    return found


async def welcome(database: Database, keys: Iterable[str]) -> dict[str, Welcome]:
    """What decides whether the streams of these devices may go on; none for a device that is not there any more."""
    table = devices.c
    chosen = among(database, table.device_key, keys)
    by_id_alone = table.old_client & ~table.token_revoked & table.token_seen_at.is_(None)
    columns = table.active, table.token_hash, by_id_alone, table.token_revoked, table.config
    rows = await database.read(select(table.device_key, *columns).where(chosen))
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
