"""Organisations: whose devices and people they are, and the id by which their devices know this cloud."""

import secrets

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import insert_new
from visant_cloud.store import meta_values
from visant_cloud.store.tables import memberships, meta, operators, organisations

CLOUD_ID = "cloud_id"


async def create(connection: AsyncConnection, organisation_id: str, name: str) -> bool:
    """A new organisation; False where the id is taken."""
    return await insert_new(connection, organisations, {"organisation_id": organisation_id, "name": name})


async def exists(connection: AsyncConnection, organisation_id: str) -> bool:
    """Whether there is one of this id."""
    query = select(organisations.c.organisation_id).where(organisations.c.organisation_id == organisation_id)
    return (await connection.execute(query)).first() is not None


async def everyone(connection: AsyncConnection) -> dict[str, str]:
    """organisation_id -> name."""
    query = select(organisations.c.organisation_id, organisations.c.name).order_by(organisations.c.organisation_id)
    return {row.organisation_id: row.name for row in await connection.execute(query)}


async def cloud_id_of(database: Database, organisation_id: str) -> str:
    """32 hex digits that the devices of this organisation know this cloud by, born at the first question.

    Each organisation has its own: a device that moves does not deliver what it holds of one to another. Where it is
    there already nothing is written: a database that takes no writes can be started on.
    """
    found = await meta_values.read(database, CLOUD_ID, organisation_id)
    if found is not None:
        return found
    async with database.writing() as connection:
        return await meta_values.put_first(connection, CLOUD_ID, secrets.token_hex(16), organisation_id)


async def has_cloud_id(connection: AsyncConnection, value: str) -> bool:
    """Whether this is the cloud_id of one of them."""
    query = select(meta.c.key).where(meta.c.key == CLOUD_ID, meta.c.value == value)
    return (await connection.execute(query)).first() is not None


async def of_operator(connection: AsyncConnection, operator_id: str) -> list[str]:
    """The organisations that an operator may act for, the own one first."""
    own = (
        await connection.execute(select(operators.c.organisation_id).where(operators.c.operator_id == operator_id))
    ).scalar_one_or_none()
    if own is None:
        return []
    more = await connection.execute(
        select(memberships.c.organisation_id)
        .where(memberships.c.operator_id == operator_id, memberships.c.organisation_id != own)
        .order_by(memberships.c.organisation_id)
    )
    return [own, *more.scalars()]


async def add_member(connection: AsyncConnection, organisation_id: str, operator_id: str) -> bool:
    """The operator may act for this organisation too; False where that is so already."""
    return await insert_new(connection, memberships, {"organisation_id": organisation_id, "operator_id": operator_id})


async def remove_member(connection: AsyncConnection, organisation_id: str, operator_id: str) -> bool:
    """It may not any more; False where it could not."""
    result = await connection.execute(
        delete(memberships).where(
            memberships.c.organisation_id == organisation_id, memberships.c.operator_id == operator_id
        )
    )
    return result.rowcount == 1
