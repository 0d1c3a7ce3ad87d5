"""How many devices are in which state: counted by the rounds of alerts, which know it, and read by /metrics.

Working it out at each scrape would read the telemetry of the whole fleet.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.alerts.states import STATES, State
from visant_cloud.database.json_values import from_json, to_json
from visant_cloud.store import meta_values

_KEY = "device_states"
FRESH = timedelta(seconds=180)
"""What is older is nobody's word: no process looks at the fleet."""


async def put(connection: AsyncConnection, counts: Mapping[str, Mapping[State, int]], now: datetime) -> None:
    """Of all organisations: one row."""
    await meta_values.put(connection, _KEY, to_json({"at": now.isoformat(), "of": counts}))


async def find(connection: AsyncConnection, organisation_id: str, now: datetime) -> dict[State, int] | None:
    """state -> devices of this organisation; None where nobody has counted lately."""
    value = await meta_values.find(connection, _KEY)
    if value is None:
        return None
    told = from_json(value)
    if abs(now - datetime.fromisoformat(told["at"])) > FRESH:
        return None
    mine = told["of"].get(organisation_id, {})
    return {state: int(mine.get(state, 0)) for state in STATES}
