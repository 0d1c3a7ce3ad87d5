"""The outbox: notices, and each one's way to each channel. A row is there before anything is sent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.store.channels import Channel
from visant_cloud.store.tables import channels, deliveries, notices


@dataclass(frozen=True)
class Notice:
    """One row of `notices`: what is told, in words and as data."""

    notice_id: int
    organisation_id: str
    type: str
    title: str
    text: str
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """One row of `deliveries`."""

    delivery_id: int
    notice_id: int
    channel_id: int
    created_at: datetime
    attempts: int
    next_at: datetime
    ended_at: datetime | None
    delivered: bool
    answer: str | None

    @property
    def status(self) -> Literal["waiting", "delivered", "given_up"]:
        """What became of it."""
        if self.ended_at is None:
            return "waiting"
        return "delivered" if self.delivered else "given_up"


@dataclass(frozen=True)
class Parcel:
    """A delivery to be tried now, with all that this takes."""

    delivery: Delivery
    notice: Notice
    channel: Channel


_BATCH = 1000
_NOTICE = [notices.c[name] for name in Notice.__dataclass_fields__]
_DELIVERY = [deliveries.c[name] for name in Delivery.__dataclass_fields__]
_CHANNEL = [channels.c[name] for name in Channel.__dataclass_fields__]


async def add(
    connection: AsyncConnection,
    organisation_id: str,
    to: Iterable[Channel],
    now: datetime,
    *,
    type: str,
    title: str,
    text: str,
    data: dict[str, Any],
) -> int:
    """A notice for these channels; returns its number."""
    row = {"organisation_id": organisation_id, "type": type, "title": title, "text": text, "data": data}
    made = await connection.execute(insert(notices).values(**row, created_at=now).returning(notices.c.notice_id))
    notice_id: int = made.scalar_one()
    rows = [
        {
            "organisation_id": organisation_id,
            "notice_id": notice_id,
            "channel_id": channel.channel_id,
            "created_at": now,
            "next_at": now,
        }
        for channel in to
    ]
    if rows:
        await connection.execute(insert(deliveries), rows)
    return notice_id


def _due(now: datetime, furthest: timedelta) -> Any:
    # further ahead than any wait is what a clock that was ahead has left
    return deliveries.c.ended_at.is_(None), or_(deliveries.c.next_at <= now, deliveries.c.next_at > now + furthest)


async def any_due(database: Database, now: datetime, furthest: timedelta) -> bool:
    """Whether something is to be sent: what an idle outbox asks."""
    query = select(deliveries.c.delivery_id).where(*_due(now, furthest)).limit(1)
    return bool(await database.read(query))


async def claim(
    connection: AsyncConnection, now: datetime, furthest: timedelta, again: timedelta, limit: int
) -> list[Parcel]:
    """Takes what is to be sent, the longest overdue first, and counts the attempt.

    Nobody else takes it for `again`; a process that dies over it has then tried for nothing.
    """
    due = select(deliveries.c.delivery_id).where(*_due(now, furthest)).order_by(deliveries.c.next_at).limit(limit)
    ids = list((await connection.execute(due.with_for_update(skip_locked=True))).scalars())
    if not ids:
        return []
    mine = deliveries.c.delivery_id.in_(ids)
    taken = update(deliveries).where(mine).values(next_at=now + again, attempts=deliveries.c.attempts + 1)
    await connection.execute(taken)
    query = (
        select(*_DELIVERY, *_NOTICE, *_CHANNEL)
        .join(notices, notices.c.notice_id == deliveries.c.notice_id)
        .join(channels, channels.c.channel_id == deliveries.c.channel_id)
        .where(mine)
        .order_by(deliveries.c.delivery_id)
    )
    first, second = len(_DELIVERY), len(_DELIVERY) + len(_NOTICE)
    return [
        Parcel(Delivery(*row[:first]), Notice(*row[first:second]), Channel(*row[second:]))
        for row in await connection.execute(query)
    ]


async def end(connection: AsyncConnection, delivery_id: int, delivered: bool, answer: str, now: datetime) -> None:
    """It arrived, or is given up."""
    values = {"ended_at": now, "delivered": delivered, "answer": answer}
    await connection.execute(update(deliveries).where(deliveries.c.delivery_id == delivery_id).values(**values))


async def put_off(connection: AsyncConnection, delivery_id: int, answer: str, until: datetime) -> None:
    """It is tried again then."""
    mine = update(deliveries).where(deliveries.c.delivery_id == delivery_id)
    await connection.execute(mine.values(next_at=until, answer=answer))


async def log_of(
    connection: AsyncConnection, channel_id: int, before: int | None, limit: int
) -> list[tuple[Delivery, Notice]]:
    """What went to a channel, the newest first."""
    query = (
        select(*_DELIVERY, *_NOTICE)
        .join(notices, notices.c.notice_id == deliveries.c.notice_id)
        .where(deliveries.c.channel_id == channel_id)
        .order_by(deliveries.c.delivery_id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(deliveries.c.delivery_id < before)
    count = len(_DELIVERY)
    return [(Delivery(*row[:count]), Notice(*row[count:])) for row in await connection.execute(query)]


async def replay(connection: AsyncConnection, channel_id: int, delivery_id: int, now: datetime) -> bool:
    """It is sent once more, under the same id, as if for the first time; False where the channel has no such one."""
    mine = (deliveries.c.delivery_id == delivery_id, deliveries.c.channel_id == channel_id)
    values = {"next_at": now, "attempts": 0, "ended_at": None, "delivered": False}
    return (await connection.execute(update(deliveries).where(*mine).values(**values))).rowcount == 1


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Deletes deliveries that ended, and notices, made before then: _BATCH of each. Returns how many."""
    ended = (deliveries.c.created_at < before, deliveries.c.ended_at.is_not(None))
    old = select(deliveries.c.delivery_id).where(*ended).order_by(deliveries.c.delivery_id).limit(_BATCH)
    first = await connection.execute(delete(deliveries).where(deliveries.c.delivery_id.in_(old)))
    old = select(notices.c.notice_id).where(notices.c.created_at < before).order_by(notices.c.notice_id).limit(_BATCH)
    second = await connection.execute(delete(notices).where(notices.c.notice_id.in_(old)))
    return first.rowcount + second.rowcount
