"""The door to the device's queue in Redis: a command goes in once, durably, or the caller hears why not."""

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from importlib import resources
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from visant_connector.command_entries import Admittable
from visant_contract.stream import (
    ADMITTED,
    ADMITTED_ENTRY,
    ADMITTED_KEPT,
    CLOUD,
    DEADLINES,
    ENTRY_FIELD,
    GROUP,
    NETWORK,
    STREAM,
    CloudSeen,
)
from visant_contract.telemetry import NetworkUse
from visant_runtime.device.consumer_group import FROM_THE_FIRST, make_group
from visant_runtime.settings import SettingsError

_ANSWER_WITHIN = 3.0
"""Seconds; a slow card flushes in tenths of one. A late answer is asked for again, which the script allows."""

_SET_UNWRITTEN = "redis.set_repl(redis.REPL_NONE) redis.call('SET', KEYS[1], ARGV[1])"
"""Into memory alone, not into the append-only file (Redis Lua API, redis.set_repl): no write to the card."""
_KEYS = [STREAM, ADMITTED, ADMITTED_ENTRY, DEADLINES]


class AdmissionResult(StrEnum):
    """What became of one command; the words of admit.lua."""

    ADMITTED = "admitted"
    RENEWED = "renewed"
    """Known and still queued: its deadline was renewed."""
    DUPLICATE = "duplicate"
    UNREMEMBERED = "unremembered"
    """Queued, but Redis could not remember it: a replay would queue it again."""


class RedisRefused(Exception):
    """Redis does not take it now; the text is one line with the remedy. The same call may work later."""


def connect(url: str) -> Redis:
    """A client that never retries by itself: waiting is RedisRetry's. Raises SettingsError for a URL it cannot read."""
    try:
        return Redis.from_url(
            url,
            socket_timeout=_ANSWER_WITHIN,
            socket_connect_timeout=_ANSWER_WITHIN,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL cannot be read ({error}): e.g. REDIS_URL=redis://127.0.0.1:6379/0") from None


class Admission:
    """Writes to Redis. Every method raises RedisRefused where Redis is away, full, loading or read-only."""

    def __init__(self, redis: Redis, *, kept: int = ADMITTED_KEPT) -> None:
        self._redis = redis
        self._kept = kept
        self._script = resources.files("visant_connector").joinpath("admit.lua").read_text()
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    async def prepare(self) -> bool:
        """Makes stream and consumer group where they are missing; also tells whether Redis takes writes.

        Returns whether Redis remembers what was said to it: False after it lost its memory, or the stream alone.
        """
        try:
            kind = await self._redis.type(STREAM)
            if kind == b"stream" and await make_group(self._redis):
                return bool(await self._redis.exists(CLOUD))
            return await self._begin_anew(damaged=kind not in (b"stream", b"none"))
        except (RedisError, OSError) as error:
            raise RedisRefused(why(error)) from None

    async def _begin_anew(self, *, damaged: bool) -> bool:
        """A stream that is gone took commands with it that have no outcome: nothing may count as admitted before."""
        lost = bool(await self._redis.exists(ADMITTED, ADMITTED_ENTRY))
        remembers = bool(await self._redis.exists(CLOUD))
        async with self._redis.pipeline(transaction=True) as steps:
            if damaged:
                steps.rename(STREAM, f"{STREAM}:damaged")
            steps.delete(ADMITTED, ADMITTED_ENTRY, DEADLINES)
            steps.xgroup_create(STREAM, GROUP, id=FROM_THE_FIRST, mkstream=True)
            await steps.execute()
        return remembers and not lost

    async def admit(self, batch: Sequence[Admittable]) -> list[AdmissionResult | RedisRefused]:
        """One result for each of `batch`, in its order; they share one flush to the card."""
        try:
            answers = await self._run(batch)
            if any(isinstance(answer, NoScriptError) for answer in answers):  # a Redis that has just started
                await self._redis.script_load(self._script)
                answers = await self._run(batch)
        except (RedisError, OSError) as error:
            raise RedisRefused(why(error)) from None
        return [_result(answer) for answer in answers]

    async def _run(self, batch: Sequence[Admittable]) -> list[Any]:
        """By the script's hash: redis-py's own way asks each time whether Redis knows it, one round trip more."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for one in batch:
                pipe.evalsha(self._sha, len(_KEYS), *_KEYS, *self._arguments(one))
            return await pipe.execute(raise_on_error=False)

    def _arguments(self, one: Admittable) -> list[str | int]:
        named = "1" if one.from_the_cloud else "0"
        deadline = one.entry.deadline.model_dump_json()
        return [one.entry.model_dump_json(), one.key or "", deadline, named, ENTRY_FIELD, GROUP, self._kept]

    async def cloud_seen(self, seen: CloudSeen) -> None:
        """Tells the uploader which cloud is there."""
        try:
            await self._redis.set(CLOUD, seen.model_dump_json())
        except (RedisError, OSError) as error:
            raise RedisRefused(why(error)) from None

    async def network_used(self, used: NetworkUse) -> None:
        """Tells the uploader, which tells it to the cloud; costs the card nothing."""
        try:
            await self._redis.eval(_SET_UNWRITTEN, 1, NETWORK, used.model_dump_json())
        except (RedisError, OSError) as error:
            raise RedisRefused(why(error)) from None

    async def cloud_before(self) -> CloudSeen | None:
        """The cloud whose stream was confirmed last, by this process or an earlier one; None where none is known."""
        try:
            found = await self._redis.get(CLOUD)
            return None if found is None else CloudSeen.model_validate_json(found)
        except ValidationError:  # of a release that wrote it otherwise
            return None
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return None
            raise RedisRefused(why(error)) from None
        except (RedisError, OSError) as error:
            raise RedisRefused(why(error)) from None

    async def weaknesses(self) -> list[str]:
        """Settings of Redis that would lose commands, each as one line; empty where it is set up as it must be."""
        wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
        try:
            found = {key: (await self._redis.config_get(key)).get(key) for key in wanted}
        except ResponseError:  # CONFIG is renamed or forbidden: nothing to say
            return []
        except (RedisError, OSError) as error:
            raise RedisRefused(why(error)) from None
        return [
            f"Redis has {key} {found[key]}, so a power cut may lose commands: set {key} {value}"
            for key, value in wanted.items()
            if found[key] != value
        ]


def _result(answer: object) -> AdmissionResult | RedisRefused:
    if isinstance(answer, Exception):
        return RedisRefused(why(answer))
    if isinstance(answer, list) and answer and isinstance(answer[0], bytes):
        return AdmissionResult(answer[0].decode())
    return RedisRefused(f"Redis answered {answer!r} to the admission script")


_INSIDE_A_SCRIPT = re.compile(r"^Error running script .*?: -(?=[A-Z]+ )", re.DOTALL)
"""Redis before 7 wraps the error of a command that a script called; the command's own follows the dash."""


def why(error: Exception) -> str:
    """One line with the remedy."""
    text = _INSIDE_A_SCRIPT.sub("", str(error))
    if isinstance(error, OutOfMemoryError) or text.startswith("OOM"):
        return "Redis is full: the uploader empties it; if it does not, look at its log, or raise maxmemory"
    if isinstance(error, BusyLoadingError) or text.startswith("LOADING"):
        return "Redis is still loading its file: wait"
    if isinstance(error, AuthenticationError | AuthorizationError) or text.startswith(
        ("NOAUTH", "NOPERM", "WRONGPASS")
    ):
        return f"Redis wants other credentials ({text[:100]}): put them into REDIS_URL"
    if isinstance(error, ReadOnlyError) or text.startswith("READONLY"):
        return "Redis is a read-only replica: point REDIS_URL to the writable one"
    if text.startswith("MISCONF"):
        return "Redis cannot write to the card: free space there, look at its log"
    if isinstance(error, ResponseError):
        return f"Redis refuses ({text[:200]})"
    return f"Redis cannot be reached ({text[:200] or type(error).__name__}): is it running, is REDIS_URL right?"
