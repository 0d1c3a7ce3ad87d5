"""Devices that a filter (fleet/filter.py) chooses: a page of them with figures over all, or the keys of all.

The state of each is judged as by views/as_json.py, here by the database: ten thousand rows would cost this process more
than it. Each condition has its values as parameters, and the organisation stands in every query.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.column_types import UtcTime
from visant_cloud.database.statements import among
from visant_cloud.fleet.filter import ANY, FilterError, Term, version_fits
from visant_cloud.store import labels
from visant_cloud.store.devices import THERE, folded
from visant_cloud.store.fleet import ORDER, streams_table
from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import alerts, device_states, device_tags, devices, group_members

Sort = Literal["trouble", "id", "-id", "name", "-name", "seen", "-seen", "created", "-created"]
SORTS: tuple[Sort, ...] = get_args(Sort)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPE = "/"
_RANKS = {state: place for place, state in enumerate(ORDER, start=1)}


@dataclass(frozen=True)
class Found:
    """`total` devices fit, by `states` and `alerting` (with an open alert); the keys of a page of them, in order."""

    total: int = 0
    alerting: int = 0
    states: dict[str, int] = field(default_factory=dict)
    device_keys: list[str] = field(default_factory=list)
    cursor: str | None = None
    """Where the next page begins; None at the end."""


class WrongCursor(ValueError):
    """It is none, or belongs to another filter or sort."""


async def page(
    connection: AsyncConnection,
    scope: Scope,
    terms: Sequence[Term],
    streams: dict[str, int],
    *,
    sort: Sort = "trouble",
    cursor: str | None = None,
    limit: int = 100,
) -> Found:
    """One statement. `streams`: device_key -> open streams, of the organisation. Raises FilterError, WrongCursor."""
    given, descending = _BY[sort.removeprefix("-")], sort.startswith("-")
    fitting = await _fitting(connection, scope, terms, streams, given)
    all_of = fitting.cte("fitting").c
    # trouble first: who has an open alert, then by state
    by: Any = case((all_of.alerting, 0), else_=all_of.place) if given is None else all_of.by
    place = by, all_of.device_id
    rows = select(all_of.device_key, cast(by, Text).label("value"), all_of.device_id, by.label("by"))
    mark = _mark(sort, terms)
    if cursor is not None:
        after = tuple_(*_after(cursor, mark, sort, by))
        rows = rows.where(tuple_(*place) < after if descending else tuple_(*place) > after)
    part = rows.order_by(*_ordered(place, descending)).limit(limit + 1).subquery("part").c
    number = func.row_number().over(order_by=_ordered((part.by, part.device_id), descending))
    nothing = cast(null(), Text)
    conditions = [all_of.place == rank for rank in _RANKS.values()]
    sums = (func.coalesce(func.sum(case((one, 1), else_=0)), 0) for one in (all_of.alerting, *conditions))
    counts = select(nothing, nothing, nothing, *sums)  # one look at all that fit, and no sorting of states
    one_each = select(part.device_key, part.value, part.device_id, number, *(literal(0) for _ in conditions))
    found = (await connection.execute(union_all(counts, one_each))).all()
    (figures,) = [row[3:] for row in found if row[0] is None]
    alerting, *by_state = (int(figure) for figure in figures)
    shown = sorted((row for row in found if row[0] is not None), key=lambda row: int(row[3]))
    last = shown[limit - 1] if len(shown) > limit else None
    return Found(
        sum(by_state),
        alerting,
        {state: count for state, count in zip(_RANKS, by_state, strict=True) if count},
        [row[0] for row in shown[:limit]],
        None if last is None else _cursor(mark, last[1], last[2]),
    )


async def keys(
    connection: AsyncConnection, scope: Scope, terms: Sequence[Term], streams: dict[str, int], limit: int
) -> list[str]:
    """The keys of those that fit, in order, `limit` at most. Raises FilterError."""
    fitting = (await _fitting(connection, scope, terms, streams)).subquery("fitting")
    query = select(fitting.c.device_key).order_by(fitting.c.device_key).limit(limit)
    return list((await connection.execute(query)).scalars())


async def states_of(
    connection: AsyncConnection, scope: Scope, device_keys: Sequence[str], streams: dict[str, int]
) -> dict[str, int]:
    """state -> how many of these are so."""
    fitting = await _fitting(connection, scope, [], streams)
    mine = fitting.where(among(connection, devices.c.device_key, device_keys)).subquery("fitting").c
    ranks = (await connection.execute(select(mine.place, func.count()).group_by(mine.place))).all()
    words = {rank: state for state, rank in _RANKS.items()}
    return {words[rank]: count for rank, count in ranks}


async def _fitting(
    connection: AsyncConnection,
    scope: Scope,
    terms: Sequence[Term],
    streams: dict[str, int],
    by: Any = None,
) -> Select[Any]:
    """Those that fit: `device_key`, `device_id`, `place` (of _RANKS), `alerting`, and `by` where it is given."""
    connected = streams_table(connection, streams)
    # as their index has them: by a range of subjects, or SQLite reads every alert that the organisation ever had
    is_open = (
        alerts.c.organisation_id == scope.organisation_id,
        alerts.c.cleared_at.is_(None),
        alerts.c.subject > "",
        alerts.c.device_key.is_not(None),
    )
    there = connected.c.key.is_not(None)
    place: ColumnElement[int] = case(
        (not_(devices.c.active), _RANKS["inactive"]),
        (there & func.coalesce(device_states.c.degraded, false()), _RANKS["degraded"]),
        (there, _RANKS["connected"]),
        (device_states.c.last_seen_at.is_not(None), _RANKS["offline"]),
        else_=_RANKS["never_seen"],
    )
    alerting = devices.c.device_key.in_(select(alerts.c.device_key).where(*is_open))
    facts = _Facts(connection, scope.organisation_id, place, alerting, is_open)
    if any(term.field == "group" for term in terms):
        facts.groups = await labels.group_ids(connection, scope.organisation_id)
    if any(term.field == "version" for term in terms):
        mine = select(devices.c.device_version).where(scope.holds(devices)).distinct()
        facts.versions = list((await connection.execute(mine)).scalars())
    columns = devices.c.device_key, devices.c.device_id, place.label("place"), alerting.label("alerting")
    return (
        select(*columns, *([] if by is None else [by.label("by")]))
        .select_from(devices)
        .outerjoin(device_states, device_states.c.device_key == devices.c.device_key)
        .outerjoin(connected, connected.c.key == devices.c.device_key)
        .where(scope.holds(devices), THERE, *(facts.condition(term) for term in terms))
    )


class _Facts:
    """What terms become conditions by."""

    def __init__(
        self,
        connection: AsyncConnection,
        organisation_id: str,
        place: ColumnElement[int],
        alerting: ColumnElement[bool],
        is_open: tuple[ColumnElement[bool], ...],
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self._place = place
        self._alerting = alerting
        self._is_open = is_open
        self.groups: dict[str, int] = {}
        self.versions: list[str | None] = []

    def condition(self, term: Term) -> ColumnElement[bool]:
        fits = or_(false(), *(self._fits(term, value) for value in term.values))
        return not_(fits) if term.negated else fits

    def _fits(self, term: Term, value: str) -> ColumnElement[bool]:
        if term.field == "state":
            return self._place == _RANKS[value]
        if term.field == "alert":
            return self._alert(value)
        if term.field == "group":
            return self._group(term, value)
        if term.field == "tag":
            return self._tag(term, value)
        if term.field == "version":
            return self._version(term, value)
        return _words(term.field, term.operator, value)

    def _alert(self, value: str) -> ColumnElement[bool]:
        if value == ANY:
            return self._alerting
        if not value:
            return not_(self._alerting)
        such = select(alerts.c.device_key).where(*self._is_open, alerts.c.kind == value)
        return devices.c.device_key.in_(such)

    def _group(self, term: Term, value: str) -> ColumnElement[bool]:
        mine = group_members.c.organisation_id == self._organisation_id
        if not value:
            return not_(exists().where(mine, group_members.c.device_key == devices.c.device_key))
        wanted = folded(value)
        inside = term.operator == "~"
        ids = [
            number
            for name, number in self.groups.items()
            if (wanted in folded(name) if inside else wanted == folded(name))
        ]
        if not ids and not inside:  # negated, a slip of the pen would choose the whole fleet
            raise FilterError(
                f"filter, character {term.position}: there is no group {value[:100]!r}: GET /v1/groups lists them"
            )
        members = select(group_members.c.device_key).where(mine, among(self._connection, group_members.c.group_id, ids))
        return devices.c.device_key.in_(members)

    def _tag(self, term: Term, value: str) -> ColumnElement[bool]:
        mine = device_tags.c.organisation_id == self._organisation_id
        if not value:
            return not_(exists().where(mine, device_tags.c.device_key == devices.c.device_key))
        has = device_tags.c.tag == folded(value)
        if term.operator == "~":
            has = device_tags.c.tag.contains(folded(value), autoescape=True)
        return devices.c.device_key.in_(select(device_tags.c.device_key).where(mine, has))

    def _version(self, term: Term, value: str) -> ColumnElement[bool]:
        """A fleet has few versions: they are compared here, and the database is told which fit."""
        fitting = [one for one in self.versions if version_fits(one, term.operator, value)]
        chosen = among(self._connection, devices.c.device_version, [one for one in fitting if one is not None])
        return or_(
            and_(devices.c.device_version.is_not(None), chosen), devices.c.device_version.is_(None) & (None in fitting)
        )


def _words(name: str, operator: str, value: str) -> ColumnElement[bool]:
    """A line of `search`: id, name, site. What an earlier release wrote has none yet."""
    plain = func.lower(devices.c.device_id) + "\n\n" + func.lower(func.coalesce(devices.c.site, ""))
    lines = func.coalesce(devices.c.search, plain, type_=String)
    wanted = "".join(f"{_ESCAPE}{one}" if one in "%_/" else one for one in folded(value))
    inside = wanted if operator == ":" else f"%{wanted}%"
    if not name:
        return lines.like(f"%{wanted}%", escape=_ESCAPE)
    pattern = {"id": f"{inside}\n%\n%", "name": f"%\n{inside}\n%", "site": f"%\n%\n{inside}"}[name]
    return lines.like(pattern, escape=_ESCAPE)


# Order and cursors

_BY: dict[str, Any] = {
    "trouble": None,
    "id": devices.c.device_id,
    "name": func.coalesce(devices.c.name, devices.c.device_id),
    "seen": func.coalesce(device_states.c.last_seen_at, _NEVER, type_=UtcTime),
    "created": devices.c.created_at,
}
"""What a sort goes by, beside the id."""


def _ordered(place: Sequence[Any], descending: bool) -> list[Any]:
    return [one.desc() if descending else one for one in place]


def _mark(sort: Sort, terms: Sequence[Term]) -> str:
    said = json.dumps([sort, [[one.field, one.operator, one.values, one.negated] for one in terms]])
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _cursor(mark: str, value: str, device_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([mark, value, device_id]).encode()).decode()


def _after(cursor: str, mark: str, sort: Sort, by: Any) -> tuple[Any, Any]:
    try:
        made, value, device_id = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if made != mark:
            raise WrongCursor("cursor: it belongs to another filter or sort: begin without one")
        return literal(_READ.get(sort.removeprefix("-"), str)(value), by.type), literal(str(device_id))
    except WrongCursor:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise WrongCursor("cursor: it is none of this cloud's: begin without one") from None


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_READ: dict[str, Any] = {"trouble": int, "seen": _time, "created": _time}
