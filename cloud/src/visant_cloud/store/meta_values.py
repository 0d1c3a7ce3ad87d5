"""Single values that an organisation, or the cloud itself, keeps: one row of `meta` each."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import insert_new
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_cloud.store.tables import meta


def _one(key: str, organisation_id: str) -> Select[Any]:
    return select(meta.c.value).where(meta.c.organisation_id == organisation_id, meta.c.key == key)


async def read(database: Database, key: str, organisation_id: str = DEFAULT_ORGANISATION) -> str | None:
    """The value, or None; one statement."""
    rows = await database.read(_one(key, organisation_id))
    return str(rows[0].value) if rows else None


async def find(connection: AsyncConnection, key: str, organisation_id: str = DEFAULT_ORGANISATION) -> str | None:
    """The same, in a transaction."""
    found: str | None = (await connection.execute(_one(key, organisation_id))).scalar_one_or_none()
    return found


async def put(connection: AsyncConnection, key: str, value: str, organisation_id: str = DEFAULT_ORGANISATION) -> None:
    """From now on it is this one."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = make(meta).values(organisation_id=organisation_id, key=key, value=value)
    fresh = {"value": row.excluded["value"]}
    await connection.execute(row.on_conflict_do_update(index_elements=["organisation_id", "key"], set_=fresh))


async def put_first(connection: AsyncConnection, key: str, value: str, organisation_id: str) -> str:
    """The value that is there; `value`, where there was none."""
    await insert_new(connection, meta, {"organisation_id": organisation_id, "key": key, "value": value})
    return str((await connection.execute(_one(key, organisation_id))).scalar_one())
