"""What a kind of job is. A new kind is a class like these, and its line in registry.py."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.context import Cloud
from visant_cloud.store import jobs
from visant_cloud.store.jobs import Job, Outcome
from visant_runtime.kill_point import kill_point

After = Callable[[], None]
"""What is done once the change is in the database."""


class JobKind(Protocol):
    """One object per process."""

    batch: int
    """Pieces of one step, at most."""
    can_be_cancelled: bool

    async def step(self, cloud: Cloud, job: Job, most: int) -> int:
        """Does the next pieces, `most` at most, and returns how many.

        What is done and that it is done are one transaction, or doing it twice is the same as once: the process may
        die at any point, and another takes the job as the row says. A step takes seconds at most. It ends the job
        (jobs.advance) with its last piece. What it raises of the database, the disk or the storage is tried again.
        """


class EachDevice(ABC):
    """A job that does the same to each of its items, which are devices, in one transaction a batch."""

    batch = 100
    can_be_cancelled = True

    @abstractmethod
    async def apply(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, device_keys: list[str]
    ) -> tuple[dict[str, Outcome], After]:
        """device_key -> what became of it."""

    async def step(self, cloud: Cloud, job: Job, most: int) -> int:
        """The next batch: what it changes and the outcomes of its items are committed together."""
        async with cloud.database.writing() as connection:
            held = await jobs.hold(connection, job.job_id)
            if held is None:  # cancelled meanwhile
                return 0
            items = await jobs.items(connection, held.job_id, held.position, most)
            outcomes, after = await self.apply(connection, cloud, held, [item.subject for item in items])
            await jobs.record(connection, held, [(item, outcomes[item.subject]) for item in items], cloud.now())
            kill_point("job_batch")
        kill_point("job_batch_committed")
        after()
        return len(items)
