"""What is written about requests after they are answered, many at once: records of the audit log, and when a session
or a token was last used.

A request costs no commit for it. A process that is killed loses what it had not written yet: a second at most.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from visant_cloud.database.engine import DATABASE_ERRORS, Database
from visant_cloud.store import access, audit
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

EVERY = 1.0
"""Seconds."""
USE_EVERY = timedelta(minutes=1)
"""Between two notes of one session's or token's use."""
MOST = 10_000
"""Records that wait while the database is away; what comes then is lost, and said to be."""
_USES = 10_000
LOOP = "audit"


class Later:
    """One per process."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._records: list[dict[str, Any]] = []
        self._corrections: list[tuple[int, dict[str, Any]]] = []
        self._lost = 0
        self._used: dict[tuple[str, str], datetime] = {}
        """What was noted in the last minute, and when."""
        self._new_uses: set[tuple[str, str]] = set()

    def record(self, row: dict[str, Any]) -> None:
        """A row of `audit`."""
        if len(self._records) < MOST:
            self._records.append(row)
        else:
            self._lost += 1

    def waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._records)

    def correct(self, audit_id: int, row: dict[str, Any]) -> None:
        """A request ended otherwise than its record says."""
        if len(self._corrections) < MOST:
            self._corrections.append((audit_id, row))

    def used(self, way: Literal["session", "token"], secret_hash: str) -> None:
        """Somebody came by it."""
        key, now = (way, secret_hash), self._now()
        last = self._used.get(key)
        if last is None or not timedelta(0) <= now - last < USE_EVERY:
            if len(self._used) >= _USES:
                self._used.clear()
            self._used[key] = now
            self._new_uses.add(key)

    async def flush(self) -> None:
        """Writes what there is. Raises what the database raises; nothing is lost by it."""
        if not (self._records or self._corrections or self._new_uses):
            return
        records, corrections, uses = self._records, self._corrections, self._new_uses
        self._records, self._corrections, self._new_uses = [], [], set()
        try:
            async with self._database.writing() as connection:
                await audit.add_many(connection, records)
                await audit.correct(connection, corrections)
                await access.note_uses(connection, {key: self._used.get(key, self._now()) for key in uses})
        except BaseException:
            self._records[:0], self._corrections[:0] = records, corrections
            self._new_uses |= uses
            raise
        if self._lost:
            log.error("audit records lost: too many waited for the database", count=self._lost)
            self._lost = 0

    async def flush_last(self) -> None:
        """At the process's end, where there is nobody to try again."""
        try:
            await self.flush()
        except DATABASE_ERRORS as error:
            log.error(
                "audit records lost: the database was away at the end", count=len(self._records), error=str(error)[:200]
            )

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end; then comes `flush_last`."""
        await every(
            EVERY,
            self.flush,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=60.0,
            survives=DATABASE_ERRORS,
            complaint="audit records wait",
        )
