"""That something changed about who may come in: each process looks twice a second, whoever made the change.

One row holds a word that each such change replaces. It is the last lock that a transaction takes (device_states.py
names the others), so two changes wait for each other and for nothing else.
"""

import secrets

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.store.database import Database
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_cloud.store.tables import meta

_KEY = "access_changed"
_LAST = select(meta.c.value).where(meta.c.organisation_id == DEFAULT_ORGANISATION, meta.c.key == _KEY)


async def note(connection: AsyncConnection) -> None:
    """In the transaction that changes it."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    word = secrets.token_hex(8)
    row = make(meta).values(organisation_id=DEFAULT_ORGANISATION, key=_KEY, value=word)
    await connection.execute(row.on_conflict_do_update(index_elements=["organisation_id", "key"], set_={"value": word}))


async def last(database: Database) -> str | None:
    """The word of the last change; None where there was none yet."""
    rows = await database.read(_LAST)
    return str(rows[0].value) if rows else None
