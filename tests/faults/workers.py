"""A cloud of two workers on one PostgreSQL, with Redis as their bell. WORKERS=2 gives it to every scenario."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from tests.faults.arena import Arena


class Workers:
    """What the workers of one arena share; `arena.workers` where it has them."""

    def __init__(self, arena: "Arena") -> None:
        self._arena = arena
        self.postgres = PostgresServer(fsync=True)
        self.redis = RedisServer(arena.folder / "bell", {"appendonly": "no"})

    async def prepare(self) -> None:
        """Before the cloud is started."""
        cleanups, child = self._arena.cleanups, self._arena.cloud.child
        await asyncio.to_thread(self.postgres.__enter__)
        cleanups.append(partial(asyncio.to_thread, self.postgres.__exit__, None, None, None))
        await asyncio.to_thread(self.redis.start)
        cleanups.append(partial(asyncio.to_thread, self.redis.kill))
        child.argv += ["--workers", "2"]
        url = await asyncio.to_thread(self.postgres.url, "cloud")
        child.env |= {"DATABASE_URL": url, "REDIS_URL": self.redis.url}

    async def forget(self) -> None:
        """An empty database from the next start on."""
        self._arena.cloud.child.env["DATABASE_URL"] = await asyncio.to_thread(self.postgres.url, "empty")

    def pids(self) -> list[int]:
        """Of those that run."""
        pid = self._arena.cloud.child.pid
        assert pid is not None, "the cloud runs"
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
