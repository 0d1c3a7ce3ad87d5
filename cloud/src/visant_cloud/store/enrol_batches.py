"""Enrolment codes that were made together: how far the device of each is."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import among, insert_returning
from visant_cloud.store.tables import captures, device_groups, device_states, devices, enrol_batches, enrol_codes
from visant_cloud.views.fleet_answers import CodeState


@dataclass(frozen=True)
class Batch:
    """One row of `enrol_batches`."""

    batch_id: int
    title: str
    group: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Code:
    """One code of a batch, and what is known of the device that used it."""

    batch_id: int
    number: int
    device_id: str | None
    """Whom it is for, or who used it."""
    name: str | None
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    token_seen_at: datetime | None
    picture_at: datetime | None
    """When the newest picture of that device was received."""

    def state(self, now: datetime) -> CodeState:
        """How far its device is."""
        if self.used_at is None:
            if self.revoked_at is not None:
                return "revoked"
            return "expired" if self.expires_at <= now else "unused"
        if self.picture_at is not None and self.picture_at >= self.used_at:
            return "first picture"
        return "code used" if self.token_seen_at is None else "connected"


async def create(
    connection: AsyncConnection,
    organisation_id: str,
    title: str,
    group_id: int | None,
    created_by: str,
    now: datetime,
    expires_at: datetime,
) -> int:
    """A new batch without codes (access.add_enrol_code); returns its number."""
    values = {"title": title, "group_id": group_id, "created_by": created_by, "created_at": now}
    row = await insert_returning(
        connection,
        enrol_batches,
        {**values, "organisation_id": organisation_id, "expires_at": expires_at},
        [enrol_batches.c.batch_id],
    )
    assert row is not None
    return int(row.batch_id)


async def group_id(connection: AsyncConnection, batch_id: int) -> int | None:
    """The group that its devices join, if any, held until the end of the transaction."""
    mine = select(enrol_batches.c.group_id).where(enrol_batches.c.batch_id == batch_id).scalar_subquery()
    held = select(device_groups.c.group_id).where(device_groups.c.group_id == mine)
    return (await connection.execute(held.with_for_update(read=True, key_share=True))).scalar_one_or_none()


async def page(
    connection: AsyncConnection,
    organisation_id: str,
    before: int | None = None,
    limit: int = 100,
    *,
    only: int | None = None,
) -> list[Batch]:
    """Newest first; `only`: this one."""
    query = (
        select(*(enrol_batches.c[name] for name in ("batch_id", "title")), device_groups.c.name)
        .add_columns(*(enrol_batches.c[name] for name in ("created_by", "created_at", "expires_at")))
        .outerjoin(device_groups, device_groups.c.group_id == enrol_batches.c.group_id)
        .where(enrol_batches.c.organisation_id == organisation_id)
    )
    if before is not None:
        query = query.where(enrol_batches.c.batch_id < before)
    if only is not None:
        query = query.where(enrol_batches.c.batch_id == only)
    rows = await connection.execute(query.order_by(enrol_batches.c.batch_id.desc()).limit(limit))
    return [Batch(*row) for row in rows]


async def codes(connection: AsyncConnection, organisation_id: str, batch_ids: Iterable[int]) -> list[Code]:
    """All codes of these batches, by batch and number."""
    one = enrol_codes.c
    used_by = and_(devices.c.organisation_id == one.organisation_id, devices.c.device_id == one.used_by)
    query = (
        select(
            *(
                one.batch_id,
                one.number,
                one.device_id,
                one.used_by,
                one.name,
                one.expires_at,
                one.used_at,
                one.revoked_at,
            ),
            devices.c.token_seen_at,
            captures.c.received_at,
        )
        .outerjoin(devices, used_by)
        .outerjoin(device_states, device_states.c.device_key == devices.c.device_key)
        .outerjoin(captures, captures.c.record_id == device_states.c.newest_record_id)
        .where(one.organisation_id == organisation_id, among(connection, one.batch_id, batch_ids))
        .order_by(one.batch_id, one.number)
    )
    return [
        Code(batch_id, number, used_by or device_id, *rest)
        for batch_id, number, device_id, used_by, *rest in await connection.execute(query)
    ]


def counted(found: Iterable[Code], now: datetime) -> dict[CodeState, int]:
    """state -> codes. Pure."""
    return Counter(code.state(now) for code in found)


async def revoke(
    connection: AsyncConnection, organisation_id: str, batch_id: int, now: datetime, number: int | None = None
) -> None:
    """Codes that were not used are worthless: one, or (None) all of the batch."""
    mine = [enrol_codes.c.organisation_id == organisation_id, enrol_codes.c.batch_id == batch_id]
    mine += [enrol_codes.c.used_at.is_(None), enrol_codes.c.revoked_at.is_(None)]
    if number is not None:
        mine.append(enrol_codes.c.number == number)
    await connection.execute(update(enrol_codes).where(*mine).values(revoked_at=now))


async def renew(connection: AsyncConnection, organisation_id: str, batch_id: int, number: int, code_hash: str) -> bool:
    """Another code in place of this one, which is worthless then; False where it was used or revoked meanwhile."""
    mine = enrol_codes.c.organisation_id == organisation_id, enrol_codes.c.batch_id == batch_id
    unused = enrol_codes.c.number == number, enrol_codes.c.used_at.is_(None), enrol_codes.c.revoked_at.is_(None)
    return (
        await connection.execute(update(enrol_codes).where(*mine, *unused).values(code_hash=code_hash))
    ).rowcount == 1


async def forget(connection: AsyncConnection, before: datetime, limit: int = 20) -> int:
    """Removes batches that expired before then, with their codes; returns how many, 0 at the end."""
    old = select(enrol_batches.c.batch_id).where(enrol_batches.c.expires_at < before).limit(limit)
    found = list((await connection.execute(old)).scalars())
    if found:
        await connection.execute(delete(enrol_codes).where(among(connection, enrol_codes.c.batch_id, found)))
        await connection.execute(delete(enrol_batches).where(among(connection, enrol_batches.c.batch_id, found)))
    return len(found)
