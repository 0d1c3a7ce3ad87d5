"""How a request becomes a job: once, and not one too many."""

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.problems import Refusal
from visant_cloud.store import jobs
from visant_cloud.store.jobs import Job, NewJob


async def repeated(connection: AsyncConnection, new: NewJob) -> Job | None:
    """The job that this request made before, None where it is new. Raises Refusal where the key made another."""
    if new.idempotency_key is None:
        return None
    found = await jobs.of_key(connection, new.organisation_id, new.idempotency_key)
    if found is not None and found.request_hash != new.request_hash:
        raise Refusal(
            422,
            f"Idempotency-Key: another request came with it before and made job {found.job_id}: choose a new key",
            "idempotency_key",
        )
    return found


async def check_room(connection: AsyncConnection, organisation_id: str) -> None:
    """Raises Refusal where too many jobs wait already."""
    if await jobs.count_open(connection, organisation_id) >= jobs.MAX_OPEN:
        raise Refusal(
            409,
            f"{jobs.MAX_OPEN} jobs wait or run already: let one end, or cancel one (GET /v1/jobs?open=true)",
            "too_many",
        )
