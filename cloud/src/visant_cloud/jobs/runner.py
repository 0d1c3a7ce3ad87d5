"""JobRunner: goes on with every job that has not ended, a step of each in turn.

One process at a time does it (store/leases.py); another takes over when that one is gone. Were two at it, the job's row
is held through each step, and says where to go on.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from visant_cloud.captures.storage import StorageAway
from visant_cloud.context import Cloud
from visant_cloud.database import trouble as troubles
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.jobs.registry import KINDS
from visant_cloud.store import jobs, leases
from visant_cloud.store.jobs import Job
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

TICK = 1.0
"""Seconds between rounds, and so until a new job begins."""
LEASE = timedelta(seconds=30)
LOOP = "jobs"
_LEASE = "jobs"
_ROUND = 10.0
"""Seconds after which a round ends though there is more to do: its beat, and the lease, are renewed."""
_AGAIN = 10.0
"""Seconds until a step is tried again that the database, the disk or the storage refused."""
_PAUSE = 0.02
"""Seconds between two steps: then requests have their turn."""


class JobRunner:
    """One per process."""

    def __init__(self, cloud: Cloud, process_id: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._cloud = cloud
        self._process_id = process_id
        self._monotonic = monotonic
        self._holds = False
        self._next: dict[int, float] = {}
        """job_id -> when its rate allows the next step."""

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""
        await every(
            TICK,
            lambda: self.round(stop.is_set),
            stop,
            heartbeat,
            loop=LOOP,
            max_age=120.0,
            survives=(*DATABASE_ERRORS, StorageAway),
            complaint="jobs put off",
        )
        await self._leave()

    async def _leave(self) -> None:
        if not self._holds or self._cloud.database.sqlite:
            return
        try:
            async with self._cloud.database.writing() as connection:
                await leases.let_go(connection, _LEASE, self._process_id)
        except DATABASE_ERRORS:
            pass  # it ends by itself

    async def round(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Steps until nothing is left to do now. Raises what the database raises: the next round goes on."""
        began = self._monotonic()
        while self._monotonic() - began < _ROUND and not stopping():
            is_open = await jobs.all_open(self._cloud.database)
            self._next = {one.job_id: self._next.get(one.job_id, 0.0) for one in is_open}
            if not is_open or not await self._hold():
                return
            if not sum([await self._step(one) for one in is_open if self._next[one.job_id] <= self._monotonic()]):
                return
            await asyncio.sleep(_PAUSE)

    async def _hold(self) -> bool:
        self._holds = await leases.hold(self._cloud.database, _LEASE, self._process_id, LEASE)
        return self._holds

    async def _step(self, job: Job) -> int:
        kind = KINDS.get(job.kind)
        if kind is None:  # of a newer release, which was taken back
            return 0
        most = kind.batch if job.rate is None else max(1, min(kind.batch, int(job.rate * TICK)))
        try:
            done = await kind.step(self._cloud, job, most)
        except Exception as error:
            if isinstance(error, StorageAway | OSError | TimeoutError) or troubles.of(error) is not None:
                log.warning("a job's step is tried again", job_id=job.job_id, kind=job.kind, error=str(error)[:200])
                self._next[job.job_id] = self._monotonic() + _AGAIN
                return 0
            # ours to mend: the others go on, and this one says so
            log.error("a job failed", job_id=job.job_id, kind=job.kind, error=repr(error)[:300], exc_info=error)
            async with self._cloud.database.writing() as connection:
                said = "The cloud has a fault; its log says more. What was done stays"
                await jobs.end(connection, job.job_id, "failed", said, self._cloud.now())
            return 0
        if job.rate is not None:
            self._next[job.job_id] = max(self._next[job.job_id], self._monotonic()) + done / job.rate
        return done
