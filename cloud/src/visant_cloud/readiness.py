"""Is this process ready for its work: asked by orchestrators and strangers, so asked of the database once a second."""

import asyncio
import time

import structlog
from sqlalchemy import text

from visant_cloud.captures.storage import PictureStorage, StorageAway
from visant_cloud.commands.loader import TriggerLoader
from visant_cloud.database.engine import DATABASE_ERRORS, Database, first_line
from visant_cloud.store import schema
from visant_runtime.heartbeat import Heartbeat

log = structlog.get_logger()

_WITHIN = 3.0
"""Seconds in which the database must answer."""
_KEEP = 1.0
"""Seconds for which an answer is given again."""
_LOADER_LAG = 30.0
"""Seconds for which streams may want to read in vain."""
_REVISION = text("SELECT version_num FROM alembic_version")


class Readiness:
    """One per process. `heartbeat`: whose loops say whether there is progress."""

    def __init__(
        self, database: Database, pictures: PictureStorage, loader: TriggerLoader, heartbeat: Heartbeat | None
    ) -> None:
        self._database = database
        self._pictures = pictures
        self._loader = loader
        self._heartbeat = heartbeat
        self._asking: asyncio.Task[str | None] | None = None
        self._until = 0.0
        self._said: str | None = None

    async def why_not(self) -> str | None:
        """What is missing, in one line for the log; None: ready. However many ask, one look a second."""
        if self._asking is None or (self._asking.done() and time.monotonic() >= self._until):
            self._asking = asyncio.create_task(self._look())
        return await asyncio.shield(self._asking)

    async def _look(self) -> str | None:
        found = await self._schema() or await self._storage() or self._progress()
        self._until = time.monotonic() + _KEEP
        if found != self._said:
            if found is None:
                log.info("ready again")
            else:
                log.warning("not ready", why=found)
        self._said = found
        return found

    async def _schema(self) -> str | None:
        try:
            async with asyncio.timeout(_WITHIN):
                found = [str(row[0]) for row in await self._database.read(_REVISION)]
        except TimeoutError:
            return f"the database does not answer within {_WITHIN:.0f} s"
        except DATABASE_ERRORS as error:
            return f"the database: {first_line(error)[:200]}"
        # a newer one only adds: the release before serves on while an update is under way
        if len(found) == 1 and schema.is_ours(found[0]) and found[0] >= schema.HEAD:
            return None
        return (
            f"the database has the schema {', '.join(found)[:100] or 'of nobody'}, and this release needs {schema.HEAD}"
        )

    async def _storage(self) -> str | None:
        try:
            await self._pictures.ready()
            await asyncio.to_thread(self._pictures.free_bytes)
        except StorageAway as error:
            return f"the picture storage: {error}"
        except OSError as error:
            return f"the picture storage: {error.strerror or error}"
        return None

    def _progress(self) -> str | None:
        lag = self._loader.lag()
        if lag > _LOADER_LAG:
            return f"streams have waited for their commands for {lag:.0f} s"
        late = [] if self._heartbeat is None else self._heartbeat.late(lock_within=0.1)
        return "; ".join(late)[:300] or None
