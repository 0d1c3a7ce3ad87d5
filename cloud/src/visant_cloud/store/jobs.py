"""Jobs: rows that say what is to be done, how far it is, and what became of each device."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.engine import Database
from visant_cloud.database.statements import among, insert_many, insert_returning
from visant_cloud.store.tables import job_items, jobs

Status = Literal["waiting", "running", "done", "cancelled", "failed"]
MAX_OPEN = 20
"""Jobs of an organisation that have not ended."""


@dataclass(frozen=True)
class Job:
    """One row of `jobs`."""

    organisation_id: str
    job_id: int
    kind: str
    status: Status
    given: dict[str, Any]
    total: int
    position: int
    failed: int
    rate: float | None
    detail: str | None
    result: dict[str, Any] | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    idempotency_key: str | None
    request_hash: str | None


@dataclass(frozen=True)
class NewJob:
    """What a job begins with. `rate`: pieces a second at most; `request_hash`: of what asked for it."""

    organisation_id: str
    kind: str
    given: dict[str, Any]
    created_by: str
    rate: float | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None


@dataclass(frozen=True)
class Item:
    """One row of `job_items`: a device, by its key."""

    number: int
    subject: str
    outcome: str | None
    detail: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of an item."""

    ok: bool
    detail: str | None = None


_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]
_ITEM = [job_items.c[name] for name in Item.__dataclass_fields__]
_IS_OPEN = jobs.c.ended_at.is_(None)


def _job(row: Row[Any]) -> Job:
    return Job(**row._asdict())


async def add(
    connection: AsyncConnection, new: NewJob, now: datetime, *, total: int = 0, subjects: Sequence[str] = ()
) -> Job | None:
    """A new job, with an item for each subject; None where the idempotency key was used before (`of_key`)."""
    values = {**vars(new), "status": "waiting", "total": total or len(subjects), "created_at": now}
    row = await insert_returning(connection, jobs, values, _COLUMNS)
    if row is None:
        return None
    made = _job(row)
    rows = [
        {"organisation_id": new.organisation_id, "job_id": made.job_id, "number": number, "subject": subject}
        for number, subject in enumerate(subjects, start=1)
    ]
    await insert_many(connection, job_items, rows)
    return made


async def of_key(connection: AsyncConnection, organisation_id: str, idempotency_key: str) -> Job | None:
    """The job that this key made."""
    mine = jobs.c.organisation_id == organisation_id, jobs.c.idempotency_key == idempotency_key
    row = (await connection.execute(select(*_COLUMNS).where(*mine))).one_or_none()
    return None if row is None else _job(row)


async def find(connection: AsyncConnection, organisation_id: str, job_id: int) -> Job | None:
    """One of this organisation, or None."""
    mine = jobs.c.organisation_id == organisation_id, jobs.c.job_id == job_id
    row = (await connection.execute(select(*_COLUMNS).where(*mine))).one_or_none()
    return None if row is None else _job(row)


async def page(
    connection: AsyncConnection, organisation_id: str, before: int | None, limit: int, *, only_open: bool = False
) -> list[Job]:
    """Newest first; `before`: the job_id to go on from."""
    query = select(*_COLUMNS).where(jobs.c.organisation_id == organisation_id)
    if before is not None:
        query = query.where(jobs.c.job_id < before)
    if only_open:
        query = query.where(_IS_OPEN)
    rows = await connection.execute(query.order_by(jobs.c.job_id.desc()).limit(limit))
    return [_job(row) for row in rows]


async def items(
    connection: AsyncConnection, job_id: int, after: int, limit: int, *, failed: bool = False
) -> list[Item]:
    """In the order in which they are done. `failed`: those alone that were done without success."""
    query = select(*_ITEM).where(job_items.c.job_id == job_id, job_items.c.number > after)
    if failed:
        query = query.where(job_items.c.outcome == "failed")
    return [Item(*row) for row in await connection.execute(query.order_by(job_items.c.number).limit(limit))]


async def count_open(connection: AsyncConnection, organisation_id: str) -> int:
    """Jobs of an organisation that have not ended."""
    query = select(func.count()).where(jobs.c.organisation_id == organisation_id, _IS_OPEN)
    return int((await connection.execute(query)).scalar_one())


async def all_open(database: Database) -> list[Job]:
    """Those of all organisations that have not ended, the oldest first."""
    return [_job(row) for row in await database.read(select(*_COLUMNS).where(_IS_OPEN).order_by(jobs.c.job_id))]


async def hold(connection: AsyncConnection, job_id: int) -> Job | None:
    """The job, locked until the end of the transaction; None where it has ended. It is the first lock to be taken."""
    query = select(*_COLUMNS).where(jobs.c.job_id == job_id, _IS_OPEN).with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _job(row)


_TELL = (
    update(job_items)
    .where(job_items.c.job_id == bindparam("of_job"), job_items.c.number == bindparam("at"))
    .values(outcome=bindparam("came"), detail=bindparam("said"))
)


async def record(connection: AsyncConnection, job: Job, done: Iterable[tuple[Item, Outcome]], now: datetime) -> None:
    """What became of the next items of a job that is held; after the last one it is done."""
    rows = [
        {"of_job": job.job_id, "at": item.number, "came": "done" if one.ok else "failed", "said": one.detail}
        for item, one in done
    ]
    if rows:
        await connection.execute(_TELL, rows)
    await advance(connection, job, len(rows), now, failed=sum(row["came"] == "failed" for row in rows))


async def advance(
    connection: AsyncConnection,
    job: Job,
    count: int,
    now: datetime,
    *,
    failed: int = 0,
    ends: bool | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    """`count` pieces more of a job that is held. It ends where `ends` says so, or (None) with the last piece."""
    position = job.position + count
    over = position >= job.total if ends is None else ends
    values: dict[str, Any] = {
        "position": position,
        "failed": job.failed + failed,
        "status": "done" if over else "running",
        "started_at": job.started_at or now,
        "ended_at": now if over else None,
    }
    if result is not None:
        values["result"] = result
    await connection.execute(update(jobs).where(jobs.c.job_id == job.job_id).values(**values))


async def end(connection: AsyncConnection, job_id: int, status: Status, detail: str | None, now: datetime) -> bool:
    """It goes no further; what was done stays. False where it had ended."""
    one = update(jobs).where(jobs.c.job_id == job_id, _IS_OPEN)
    ended = await connection.execute(one.values(status=status, detail=detail, ended_at=now))
    return ended.rowcount == 1


async def forget(connection: AsyncConnection, before: datetime, limit: int = 5) -> int:
    """Removes jobs that ended before then, with their items, the oldest first; returns how many, 0 at the end."""
    old = select(jobs.c.job_id).where(jobs.c.ended_at < before).order_by(jobs.c.ended_at).limit(limit)
    found = list((await connection.execute(old)).scalars())
    if found:
        await connection.execute(delete(jobs).where(among(connection, jobs.c.job_id, found)))
    return len(found)
