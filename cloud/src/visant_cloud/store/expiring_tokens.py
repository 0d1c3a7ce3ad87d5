"""API tokens that have an end, for the alert before it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from visant_cloud.database.engine import Database
from visant_cloud.store.tables import api_tokens


@dataclass(frozen=True)
class ExpiringToken:
    """Of one of `api_tokens`. `token_id`: the first of its hash, by which people name it."""

    organisation_id: str
    token_id: str
    name: str
    created_at: datetime
    expires_at: datetime

    @property
    def subject(self) -> str:
        """By which alerts about it go."""
        return f"/token/{self.token_id}"


async def everyone(database: Database) -> list[ExpiringToken]:
    """Those of all organisations."""
    one = api_tokens.c
    query = select(one.organisation_id, one.token_hash, one.name, one.created_at, one.expires_at)
    return [
        ExpiringToken(row.organisation_id, row.token_hash[:12], row.name, row.created_at, row.expires_at)
        for row in await database.read(query.where(one.expires_at.is_not(None)))
    ]
