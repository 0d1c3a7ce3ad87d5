"""Organisations: whose devices and people they are, and the id by which their devices know this cloud."""

import secrets

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import insert_new
from visant_cloud.store import meta_values
from visant_cloud.store.tables import meta, organisations

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
