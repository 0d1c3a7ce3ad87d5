"""Channels: where an organisation wants its messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import insert_returning
from visant_cloud.store.tables import channels

DEAD = 4
"""Attempts in a row that failed, after which a channel counts as dead: with one message that is after 3 minutes."""


@dataclass(frozen=True)
class Channel:
    """One row of `channels`."""

    channel_id: int
    organisation_id: str
    type: Literal["webhook", "email", "apprise"]
    name: str
    target: str
    secret: str | None
    kinds: list[str] | None
    """Only alerts of these; None: of all."""
    active: bool
    created_at: datetime
    failures: int
    last_answer: str | None
    last_at: datetime | None
    """Of the last attempt."""

    @property
    def subject(self) -> str:
        """By which alerts about it go."""
        return f"/channel/{self.channel_id}"

    def wants(self, kinds: Iterable[str]) -> bool:
        """Whether it takes a message about alerts of these kinds."""
        return self.kinds is None or not set(kinds).isdisjoint(self.kinds)


_COLUMNS = [channels.c[name] for name in Channel.__dataclass_fields__]


async def create(connection: AsyncConnection, values: dict[str, Any]) -> Channel | None:
    """A new one; None where the organisation has one of that name."""
    row = await insert_returning(connection, channels, values, _COLUMNS)
    return None if row is None else Channel(**row._asdict())


async def of_organisation(connection: AsyncConnection, organisation_id: str) -> list[Channel]:
    """All of an organisation."""
    query = select(*_COLUMNS).where(channels.c.organisation_id == organisation_id).order_by(channels.c.channel_id)
    return [Channel(*row) for row in await connection.execute(query)]


async def active(connection: AsyncConnection) -> dict[str, list[Channel]]:
    """organisation_id -> its channels that are on."""
    found: dict[str, list[Channel]] = {}
    query = select(*_COLUMNS).where(channels.c.active).order_by(channels.c.channel_id)
    for row in await connection.execute(query):
        channel = Channel(*row)
        found.setdefault(channel.organisation_id, []).append(channel)
    return found


async def dead(database: Database) -> list[Channel]:
    """Those of which the last DEAD attempts failed."""
    query = select(*_COLUMNS).where(channels.c.active, channels.c.failures >= DEAD)
    return [Channel(**row._asdict()) for row in await database.read(query)]


async def find(connection: AsyncConnection, organisation_id: str, channel_id: int) -> Channel | None:
    """The channel, or None where this organisation has none of that number."""
    query = select(*_COLUMNS).where(channels.c.channel_id == channel_id, channels.c.organisation_id == organisation_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Channel(*row)


async def change(connection: AsyncConnection, organisation_id: str, channel_id: int, values: dict[str, Any]) -> None:
    """Sets columns."""
    mine = (channels.c.channel_id == channel_id, channels.c.organisation_id == organisation_id)
    await connection.execute(update(channels).where(*mine).values(**values))


async def remove(connection: AsyncConnection, organisation_id: str, channel_id: int) -> bool:
    """With all that is on its way to it; False where there is none."""
    mine = (channels.c.channel_id == channel_id, channels.c.organisation_id == organisation_id)
    return (await connection.execute(delete(channels).where(*mine))).rowcount == 1


async def note_answer(connection: AsyncConnection, channel_id: int, taken: bool, answer: str, now: datetime) -> None:
    """An attempt ended."""
    failures: Any = 0 if taken else channels.c.failures + 1
    mine = update(channels).where(channels.c.channel_id == channel_id)
    await connection.execute(mine.values(failures=failures, last_answer=answer, last_at=now))
