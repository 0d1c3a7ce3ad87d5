"""What an organisation chose about its alerts, and when it was last told a day's summary."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.alerts.rules import DEFAULT, Rules, rules_of
from visant_cloud.database.engine import Database
from visant_cloud.database.json_values import from_json, to_json
from visant_cloud.store import meta_values
from visant_cloud.store.tables import meta

_RULES = "alert_rules"
_SUMMARY = "alert_summary"


async def everyone(database: Database) -> dict[str, Rules]:
    """organisation_id -> what it chose, of those that chose."""
    query = select(meta.c.organisation_id, meta.c.value).where(meta.c.key == _RULES)
    return {row.organisation_id: rules_of(from_json(row.value)) for row in await database.read(query)}


async def find(connection: AsyncConnection, organisation_id: str) -> Rules:
    """What one chose."""
    value = await meta_values.find(connection, _RULES, organisation_id)
    return DEFAULT if value is None else rules_of(from_json(value))


async def put(connection: AsyncConnection, organisation_id: str, chosen: Rules) -> None:
    """All of it anew."""
    await meta_values.put(connection, _RULES, to_json(chosen.model_dump(mode="json")), organisation_id)


async def last_summary(connection: AsyncConnection, organisation_id: str) -> str | None:
    """The day of the last daily summary."""
    return await meta_values.find(connection, _SUMMARY, organisation_id)


async def put_last_summary(connection: AsyncConnection, organisation_id: str, day: str) -> None:
    """It was told."""
    await meta_values.put(connection, _SUMMARY, day, organisation_id)
