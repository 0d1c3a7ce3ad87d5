"""Alerts: opened and cleared by the rounds, acknowledged by people; the times at which nobody is told."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.alerts.engine import Cleared, Key, Opened
from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among, insert_many
from visant_cloud.store.keys import device_id_of
from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import alerts, silences

Which = Literal["open", "cleared", "all"]
_BATCH = 1000


@dataclass(frozen=True)
class Alert:
    """One row of `alerts`."""

    alert_id: int
    organisation_id: str
    subject: str
    kind: str
    device_key: str | None
    site: str | None
    since: datetime | None
    opened_at: datetime
    detail: str
    remedy: str
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None
    opened_notice_id: int | None
    cleared_notice_id: int | None

    @property
    def key(self) -> Key:
        """What it is about."""
        return Key(self.organisation_id, self.subject, self.kind)

    @property
    def device_id(self) -> str | None:
        """As the device's organisation calls it."""
        return None if self.device_key is None else device_id_of(self.device_key)


@dataclass(frozen=True)
class Silence:
    """One row of `silences`."""

    silence_id: int
    organisation_id: str
    device_key: str | None
    site: str | None
    kind: str | None
    until: datetime
    note: str | None
    created_by: str
    created_at: datetime

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether nobody is told of this alert now."""
        return (
            self.organisation_id == alert.organisation_id
            and self.until > now
            and self.device_key in (None, alert.device_key)
            and self.site in (None, alert.site)
            and self.kind in (None, alert.kind)
        )


_COLUMNS = [alerts.c[name] for name in Alert.__dataclass_fields__]
_SILENCE = [silences.c[name] for name in Silence.__dataclass_fields__]
_NOT_DONE = select(*_COLUMNS).where(alerts.c.done_at.is_(None)).order_by(alerts.c.alert_id)


async def not_done(database: Database) -> list[Alert]:
    """What is open, or cleared without that anybody was told yet: few, and by an index of their own."""
    return [Alert(**row._asdict()) for row in await database.read(_NOT_DONE)]


async def not_done_locked(connection: AsyncConnection) -> list[Alert]:
    """The same, held until the end of the transaction: no two processes tell of one."""
    return [Alert(*row) for row in await connection.execute(_NOT_DONE.with_for_update())]


async def open_alerts(connection: AsyncConnection, opened: Sequence[Opened], now: datetime) -> list[Alert]:
    """New alerts, which are returned; what is open already stays as it is."""
    rows = [
        {
            "organisation_id": one.key.organisation_id,
            "subject": one.key.subject,
            "kind": one.key.kind,
            "device_key": None if one.key.subject.startswith("/") else one.key.subject,
            "site": one.site,
            "since": one.cause.since,
            "opened_at": now,
            "detail": one.cause.detail,
            "remedy": one.cause.remedy,
        }
        for one in opened
    ]
    if not rows:
        return []
    newest = (await connection.execute(select(func.max(alerts.c.alert_id)))).scalar() or 0
    await insert_many(connection, alerts, rows)
    keys = {one.key for one in opened}
    new = await connection.execute(_NOT_DONE.where(alerts.c.alert_id > newest, alerts.c.cleared_at.is_(None)))
    return [one for one in (Alert(*row) for row in new) if one.key in keys]


async def clear_alerts(connection: AsyncConnection, cleared: Iterable[Cleared], now: datetime) -> list[Alert]:
    """They are over, and returned. Of what nobody was told, nobody is told that it is."""
    gone: list[Alert] = []
    over_now = list(cleared)
    for one in over_now:
        mine = (alerts.c[name] == value for name, value in one.key._asdict().items())
        over = update(alerts).where(*mine, alerts.c.cleared_at.is_(None)).values(cleared_at=now)
        gone += [Alert(*row) for row in await connection.execute(over.returning(*_COLUMNS))]
    if not over_now:
        return []
    untold = alerts.c.cleared_at.is_not(None) & alerts.c.opened_notice_id.is_(None)
    await connection.execute(update(alerts).where(alerts.c.done_at.is_(None), untold).values(done_at=now))
    return gone


async def note_opened(connection: AsyncConnection, alert_ids: Collection[int], notice_id: int) -> None:
    """People are told of them by this notice."""
    query = update(alerts).where(among(connection, alerts.c.alert_id, alert_ids))
    await connection.execute(query.values(opened_notice_id=notice_id))


async def note_cleared(
    connection: AsyncConnection, alert_ids: Collection[int], notice_id: int | None, now: datetime
) -> None:
    """People are told that they are over (None: nobody is)."""
    query = update(alerts).where(among(connection, alerts.c.alert_id, alert_ids))
    await connection.execute(query.values(cleared_notice_id=notice_id, done_at=now))


async def find(connection: AsyncConnection, scope: Scope, alert_id: int) -> Alert | None:
    """The alert, or None where there is none of that number in this scope."""
    query = select(*_COLUMNS).where(alerts.c.alert_id == alert_id, scope.holds(alerts))
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Alert(*row)


async def page(
    connection: AsyncConnection,
    scope: Scope,
    *,
    which: Which = "all",
    device_key: str | None = None,
    site: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Alert]:
    """The newest first."""
    query = select(*_COLUMNS).where(scope.holds(alerts))
    if which != "all":
        is_open = alerts.c.cleared_at.is_(None)
        query = query.where(is_open if which == "open" else ~is_open)
    if which == "open":
        query = query.where(alerts.c.done_at.is_(None))  # by its index
    for column, value in ((alerts.c.device_key, device_key), (alerts.c.site, site), (alerts.c.kind, kind)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(alerts.c.alert_id < before)
    rows = await connection.execute(query.order_by(alerts.c.alert_id.desc()).limit(limit))
    return [Alert(*row) for row in rows]


async def open_first(
    connection: AsyncConnection, scope: Scope, limit: int, device_key: str | None = None
) -> tuple[list[Alert], int]:
    """Open alerts, those that nobody has seen first, then the newest; and how many of them there are in all."""
    query = select(func.count().over(), *_COLUMNS).where(
        scope.holds(alerts), alerts.c.done_at.is_(None), alerts.c.cleared_at.is_(None)
    )
    if device_key is not None:
        query = query.where(alerts.c.device_key == device_key)
    seen = alerts.c.acknowledged_at.is_not(None)
    rows = (await connection.execute(query.order_by(seen, alerts.c.alert_id.desc()).limit(limit))).all()
    return [Alert(*row[1:]) for row in rows], rows[0][0] if rows else 0


async def open_since(
    connection: AsyncConnection, organisation_id: str, device_keys: Collection[str] | None = None
) -> dict[str, dict[str, datetime]]:
    """device_key -> kind -> since when, of all open alerts of an organisation or of some devices."""
    query = select(alerts.c.device_key, alerts.c.kind, alerts.c.since, alerts.c.opened_at).where(
        alerts.c.organisation_id == organisation_id, alerts.c.done_at.is_(None), alerts.c.cleared_at.is_(None)
    )
    chosen: ColumnElement[bool] = alerts.c.device_key.is_not(None)
    if device_keys is not None:
        chosen = among(connection, alerts.c.device_key, device_keys)
    found: dict[str, dict[str, datetime]] = {}
    for key, kind, since, opened_at in await connection.execute(query.where(chosen)):
        found.setdefault(key, {})[kind] = since or opened_at
    return found


async def open_by_kind(connection: AsyncConnection, organisation_id: str) -> dict[str, int]:
    """kind -> how many of an organisation are open."""
    query = select(alerts.c.kind, func.count()).where(
        alerts.c.organisation_id == organisation_id, alerts.c.done_at.is_(None), alerts.c.cleared_at.is_(None)
    )
    return {kind: count for kind, count in await connection.execute(query.group_by(alerts.c.kind))}


async def acknowledge(
    connection: AsyncConnection, scope: Scope, alert_id: int, by: str, note: str | None, now: datetime
) -> Alert | None:
    """Somebody has seen it; said again, the note and the name are the newer ones. None: there is no such alert."""
    mine = (alerts.c.alert_id == alert_id, scope.holds(alerts))
    values = {"acknowledged_at": now, "acknowledged_by": by, "note": note}
    await connection.execute(update(alerts).where(*mine).values(**values))
    return await find(connection, scope, alert_id)


async def changed_since(connection: AsyncConnection, organisation_id: str, since: datetime) -> list[Alert]:
    """What was opened or cleared since then, the newest first; at most 1000."""
    recent = (alerts.c.opened_at >= since) | (alerts.c.cleared_at >= since)
    query = select(*_COLUMNS).where(alerts.c.organisation_id == organisation_id, recent)
    rows = await connection.execute(query.order_by(alerts.c.alert_id.desc()).limit(1000))
    return [Alert(*row) for row in rows]


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Deletes alerts that were done before then, _BATCH of them. Returns how many."""
    old = select(alerts.c.alert_id).where(alerts.c.done_at < before).order_by(alerts.c.alert_id).limit(_BATCH)
    return (await connection.execute(delete(alerts).where(alerts.c.alert_id.in_(old)))).rowcount


async def forget_silences(connection: AsyncConnection, before: datetime) -> int:
    """Deletes those that ended before then. Returns how many."""
    return (await connection.execute(delete(silences).where(silences.c.until < before))).rowcount


async def silences_of(connection: AsyncConnection, now: datetime, scope: Scope | None = None) -> list[Silence]:
    """Those that last, in one scope or of all organisations."""
    query = select(*_SILENCE).where(silences.c.until > now).order_by(silences.c.silence_id)
    if scope is not None:
        query = query.where(scope.holds(silences))
    return [Silence(*row) for row in await connection.execute(query)]


async def add_silence(connection: AsyncConnection, values: dict[str, Any]) -> Silence:
    """A new one."""
    return Silence(*(await connection.execute(insert(silences).values(**values).returning(*_SILENCE))).one())


async def end_silence(connection: AsyncConnection, scope: Scope, silence_id: int) -> bool:
    """It is over; False where there is none."""
    mine = (silences.c.silence_id == silence_id, scope.holds(silences))
    return (await connection.execute(delete(silences).where(*mine))).rowcount == 1
