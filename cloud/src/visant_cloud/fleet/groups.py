"""Groups by the names that requests give."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.problems import Refusal
from visant_cloud.store import labels


async def ids_of(connection: AsyncConnection, organisation_id: str, names: Iterable[str]) -> set[int]:
    """The numbers of these groups, held until the end of the transaction. Raises Refusal for one that there is not."""
    known = await labels.group_ids(connection, organisation_id)
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise Refusal(
                422, f"groups: there is no group {name!r}: create it first (POST /v1/groups)", "unknown_group"
            )
    return await labels.hold_groups(connection, organisation_id, {known[name] for name in wanted})
