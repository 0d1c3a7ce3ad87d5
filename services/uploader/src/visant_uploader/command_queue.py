"""The command stream as its one consumer sees it: what was read and not acknowledged first, then what is new.

No XAUTOCLAIM: there is one consumer with one name, and what it once read is listed by reading from id 0. After
every error the list is read again, since an answer may have been lost on its way, or the caller may not have got to
the end of it; the caller skips what it has.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from visant_contract.stream import (
    CLOUD,
    DEADLINES,
    ENTRY_FIELD,
    GROUP,
    NETWORK,
    STREAM,
    CloudSeen,
    CommandEntry,
    Deadline,
)
from visant_contract.telemetry import NetworkUse
from visant_runtime.device.consumer_group import make_group

CONSUMER = "uploader"
CONNECTIONS = 8
TIMEOUT = 5.0
"""Seconds after which a silent Redis counts as away; reads block at most 1 s of them."""


@dataclass(frozen=True)
class Queued:
    """An entry in the queue. `command` is None where nothing of it can be read; `problem` then says why."""

    id: str
    command: CommandEntry | None
    problem: str = ""


class CommandQueue:
    """Every call raises RedisError where Redis is away, full or refuses."""

    def __init__(self, redis_url: str) -> None:
        # redis-py would send a command again by itself; a repeated XREADGROUP skips what the first one read
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS,
            timeout=TIMEOUT,
            decode_responses=True,
            encoding_errors="surrogateescape",  # a damaged byte must end in an unreadable entry, not this process
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._redis = Redis.from_pool(pool)
        self._cursor: str | None = "0"
        self._grouped = False

    @property
    def pending_read(self) -> bool:
        """Whether everything read earlier has been handed out since the last error."""
        return self._cursor is None

    def read_again(self) -> None:
        """What was read and not acknowledged is handed out once more: the caller did not get to the end of it."""
        self._cursor = "0"

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    async def read(self, count: int, block: float) -> list[Queued]:
        """At most `count` entries; waits up to `block` seconds for new ones."""
        try:
            self._grouped = self._grouped or await make_group(self._redis)
            if not self._grouped:
                self._cursor = None  # nothing was ever read from a stream that is not there
                await asyncio.sleep(block)
                return []
            cursor = self._cursor
            answer = await self._redis.xreadgroup(
                GROUP,
                CONSUMER,
                {STREAM: cursor or ">"},
                count=count,
                block=None if cursor else max(1, int(block * 1000)),
            )
        except RedisError as error:
            self.read_again()
            self._grouped = self._grouped and not isinstance(error, ResponseError)  # NOGROUP: a Redis born anew
            raise
        rows = _rows(answer)
        if cursor is not None:
            self._cursor = rows[-1][0] if rows else None
        return [_queued(entry_id, fields) for entry_id, fields in rows]

    async def acknowledge(self, entry_id: str) -> None:
        """The entry is done: gone from the group, the stream and the deadlines, in one step."""
        async with self._redis.pipeline(transaction=True) as steps:
            steps.xack(STREAM, GROUP, entry_id)
            steps.xdel(STREAM, entry_id)
            steps.hdel(DEADLINES, entry_id)
            await steps.execute()

    async def renewals(self, ids: Sequence[str]) -> dict[str, Deadline]:
        """The deadlines that replays renewed, for those of `ids` that have one."""
        found: dict[str, Deadline] = {}
        for start in range(0, len(ids), 1000):
            part = list(ids[start : start + 1000])
            for entry_id, text in zip(part, await self._redis.hmget(DEADLINES, part), strict=True):
                if text is not None:
                    try:
                        found[entry_id] = Deadline.model_validate_json(text)
                    except ValidationError:
                        continue
        return found

    async def cloud(self) -> CloudSeen | None:
        """The cloud whose stream was confirmed last, as the connector wrote it."""
        text = await self._redis.get(CLOUD)
        try:
            return None if text is None else CloudSeen.model_validate_json(text)
        except ValidationError:
            return None

    async def network_of_the_connector(self) -> NetworkUse | None:
        """As the connector wrote it."""
        text = await self._redis.get(NETWORK)
        try:
            return None if text is None else NetworkUse.model_validate_json(text)
        except ValidationError:
            return None


def _rows(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """The entries of our one stream: [[stream, [(id, fields), ...]]]; a deleted entry has no fields."""
    return [(entry_id, fields or {}) for entry_id, fields in answer[0][1]] if answer else []


def _queued(entry_id: str, fields: dict[str, str]) -> Queued:
    text = fields.get(ENTRY_FIELD)
    if text is None:
        return Queued(entry_id, None, f"the entry has no field {ENTRY_FIELD!r}")
    if not _is_utf8(text):  # nothing of it can be relied on, its trigger_id least of all
        return Queued(entry_id, None, "the entry is not UTF-8")
    try:
        return Queued(entry_id, CommandEntry.model_validate_json(text))
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return Queued(entry_id, _answerable(text, problem), problem)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _answerable(text: str, problem: str) -> CommandEntry | None:
    """What can be answered as broken: an entry of another version (an update was taken back) names its trigger."""
    try:
        found = json.loads(text)
        deadline = found.get("deadline") or {"boot_id": "unknown", "boottime": 0.0}  # then its replay decides
        return CommandEntry(
            cloud_id=found["cloud_id"],
            plain=found.get("plain") is True,
            kind="unknown",
            cmd=str(found.get("cmd", "")),
            trigger_id=str(found["trigger_id"]) if found["trigger_id"] else None,
            trigger_type=str(found.get("trigger_type", "manual")),
            admitted_wall=datetime.now(UTC),
            admitted_synchronised=False,
            deadline=deadline,
            broken=problem,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
