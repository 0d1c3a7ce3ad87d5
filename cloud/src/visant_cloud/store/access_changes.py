"""That something changed about who may come in: each process looks twice a second, whoever made the change.

One row holds a word that each such change replaces. It is the last lock that a transaction takes (device_states.py
names the others), so two changes wait for each other and for nothing else.
"""

import secrets

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.store import meta_values

_KEY = "access_changed"


async def note(connection: AsyncConnection) -> None:
    """In the transaction that changes it."""
    await meta_values.put(connection, _KEY, secrets.token_hex(8))


async def last(database: Database) -> str | None:
    """The word of the last change; None where there was none yet."""
    return await meta_values.read(database, _KEY)
