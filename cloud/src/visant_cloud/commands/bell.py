"""Bell: tells other processes of this cloud, through Redis, what should not wait for their next look at the database.

A nudge goes to the channel of the process that holds the device's stream; what all must hear (a device barred, streams
opened and closed) to a channel of all. Which streams a process holds stands in one key a process, which expires unless
it is renewed; who lives is who listens on its channel, and the kernel ends that at the moment of a kill -9.
Nothing depends on it: PostgreSQL is the truth, and with Redis away each process looks there every 5 s (peers.py).
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from visant_cloud.commands.hub import CommandHub
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()

_RENEW = 5.0
"""Seconds between renewals, and between two looks at what the others hold."""
_ALIVE = 15
"""Seconds for which a key stays that nobody renews."""
_WITHIN = 2.0
"""Seconds in which Redis must answer."""
_SURE_WITHIN = 0.5
"""Seconds that a device which connects waits for the question whether another process really holds it."""
_PAUSE = 1.0
"""Seconds between attempts."""
_ERRORS = (RedisError, OSError, TimeoutError)


class RedisBell:
    """One per process."""

    def __init__(self, url: str, cloud_id: str, process_id: str, hub: CommandHub, heartbeat: Heartbeat) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_WITHIN,
            socket_connect_timeout=_WITHIN,
            retry=Retry(NoBackoff(), 0),
        )
        self._hub = hub
        self._heartbeat = heartbeat
        self._process_id = process_id
        self._prefix = f"visant:{cloud_id}:"
        self._to_all = f"{self._prefix}bell"
        self._streams = self._key_of(process_id)
        self.rings = False
        """Whether others are heard: Redis is there, and what they hold was read."""
        self._listening = False
        self._held: dict[str, dict[str, int]] = {}
        """process -> device_key -> open streams."""
        self._heard: set[str] | None = None
        """Devices of which something was heard while the others' keys were being read."""
        self._nudges: dict[str, dict[str, None]] = {}
        self._changed: dict[str, bool] = {}
        """device_key -> whether one of its streams is new."""
        self._ends: dict[tuple[str, bool], None] = {}
        self._events = False
        self.on_events: Callable[[], None] = lambda: None
        """What is done when another process has numbered events."""
        self._something = asyncio.Event()
        self._complaints = LogThrottle()

    def _channel(self, process_id: str) -> str:
        return f"{self._prefix}bell:{process_id}"

    def _key_of(self, process_id: str) -> str:
        return f"{self._prefix}streams:{process_id}"

    # what this process has to say: noted here, sent together

    def nudge(self, device_key: str) -> None:
        """Something was committed for this device."""
        for process_id, streams in self._held.items():
            if device_key in streams:
                self._nudges.setdefault(process_id, {})[device_key] = None
                self._something.set()

    def disconnect(self, device_key: str, *, by_id_alone: bool) -> None:
        """Its streams are to end."""
        self._ends[device_key, by_id_alone] = None
        self._something.set()

    def events(self) -> None:
        """Events have got their numbers."""
        self._events = True
        self._something.set()

    def opened(self, device_key: str) -> None:
        """This process holds one stream more of it."""
        self._changed[device_key] = True
        self._something.set()

    def left(self, device_key: str) -> None:
        """This process holds one stream less of it."""
        self._changed.setdefault(device_key, False)
        self._something.set()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for work in (self._send(), self._listen(), self._renew()):
                tasks.create_task(work)

    async def leave(self) -> None:
        """The streams of this process are closed; where that cannot be said, its key expires."""
        try:
            async with asyncio.timeout(_WITHIN):
                await self._redis.delete(self._streams)
                await self._redis.publish(self._to_all, json.dumps({"from": self._process_id, "gone": True}))
                await self._redis.aclose()
        except _ERRORS as error:
            log.warning("could not tell the other processes", error=str(error)[:200])

    async def confirm(self, device_key: str) -> None:
        """Makes sure of what is said of this device: `hub.elsewhere` then counts only processes that live and hold it.

        Where Redis does not answer in time nothing is counted: a device that is called a duplicate wrongly alarms.
        """
        holders = [process_id for process_id, streams in self._held.items() if device_key in streams]
        try:
            async with asyncio.timeout(_SURE_WITHIN):
                listening = dict(await self._redis.pubsub_numsub(*map(self._channel, holders))) if holders else {}
                for process_id in holders:
                    if not listening.get(self._channel(process_id)):
                        self._forget(process_id)
                        continue
                    count = await self._redis.hget(self._key_of(process_id), device_key)
                    self._count(process_id, device_key, int(count or 0))
        except _ERRORS:
            for process_id in holders:
                self._count(process_id, device_key, 0)

    async def _send(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            nudges, self._nudges = self._nudges, {}
            changed, self._changed = self._changed, {}
            ends, self._ends = self._ends, {}
            numbered, self._events = self._events, False
            here = self._hub.count_here
            news: dict[str, Any] = {"from": self._process_id}
            if changed:
                news["held"] = {key: here(key) for key in changed}
                news["newer"] = [key for key, new in changed.items() if new]
            if ends:
                news["end"] = list(ends)
            if numbered:
                news["events"] = True
            pipeline = self._redis.pipeline(transaction=False)
            for key in changed:
                if here(key):
                    pipeline.hset(self._streams, key, str(here(key)))
                else:
                    pipeline.hdel(self._streams, key)
            if changed:
                pipeline.expire(self._streams, _ALIVE)
            if len(news) > 1:
                pipeline.publish(self._to_all, json.dumps(news))
            for process_id, keys in nudges.items():
                message = {"from": self._process_id, "nudge": list(keys)}
                pipeline.publish(self._channel(process_id), json.dumps(message))
            try:
                await pipeline.execute()
            except _ERRORS as error:
                self._away(error)  # dropped: the others look at the database, and the key is written anew
                await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._to_all, self._channel(self._process_id))
                    await self._look()
                    self._listening = True
                    await self._hear(pubsub)
            except _ERRORS as error:
                self._away(error)
            finally:
                self._listening = False
            await asyncio.sleep(_PAUSE)

    async def _hear(self, pubsub: PubSub) -> None:
        heard = time.monotonic()
        while True:
            message = await pubsub.get_message(timeout=_WITHIN)
            if message is not None:
                heard = time.monotonic()
                if message["type"] == "message":
                    self._take(json.loads(message["data"]))
            elif time.monotonic() - heard > 3 * _WITHIN:
                raise TimeoutError("Redis is silent")
            else:
                await pubsub.ping()

    def _take(self, message: dict[str, Any]) -> None:
        process_id = message["from"]
        for key in message.get("nudge", ()):
            self._hub.nudge_here(key)
        if process_id == self._process_id:
            return
        for key, by_id_alone in message.get("end", ()):
            self._hub.disconnect_here(key, by_id_alone=by_id_alone)
        for key, count in message.get("held", {}).items():
            self._count(process_id, key, count)
            if self._heard is not None:
                self._heard.add(key)
        for key in message.get("newer", ()):
            self._hub.opened_elsewhere(key)
        if message.get("events"):
            self.on_events()
        if message.get("gone"):
            self._forget(process_id)

    def _away(self, error: Exception) -> None:
        self.rings = False
        times = self._complaints.again(f"{type(error).__name__} {error}")
        if times is not None:
            log.warning("the bell is away: other processes are heard through the database", error=str(error)[:200])
        self._heartbeat.degraded("bell", str(error)[:200])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW)
            if not self._listening:
                continue
            try:
                await self._look()
            except _ERRORS as error:
                self._away(error)

    async def _look(self) -> None:
        """Renews what this process holds, and reads what the others hold."""
        if not self.rings or not await self._redis.expire(self._streams, _ALIVE):
            await self._write_anew()
        await self._read_others()
        if self.rings:
            return
        self._hub.elsewhere = {}  # until now it was the database's word (peers.py)
        self._tell({key for streams in self._held.values() for key in streams})
        self.rings = True
        if self._complaints.over():
            log.info("the bell rings again")
        self._heartbeat.degraded("bell", None)

    async def _write_anew(self) -> None:
        """The key of this process, whole: Redis may have been restarted, or away."""
        here = self._hub.connected_here()
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.delete(self._streams)
        if here:
            pipeline.hset(self._streams, mapping={key: str(count) for key, count in here.items()})
            pipeline.expire(self._streams, _ALIVE)
        await pipeline.execute()

    async def _read_others(self) -> None:
        self._heard = set()
        try:
            begin = self._channel("")
            others = [str(name).removeprefix(begin) for name in await self._redis.pubsub_channels(begin + "*")]
            found = {}
            for process_id in others:
                if process_id != self._process_id:
                    streams = await self._redis.hgetall(self._key_of(process_id))
                    found[process_id] = {str(key): int(count) for key, count in streams.items()}
            for process_id in self._held.keys() - found.keys():
                self._forget(process_id)
            for process_id, now in found.items():
                before = self._held.setdefault(process_id, {})
                for key in (before.keys() | now.keys()) - self._heard:
                    self._count(process_id, key, now.get(key, 0))
        finally:
            self._heard = None

    def _forget(self, process_id: str) -> None:
        self._tell(self._held.pop(process_id, {}))

    def _count(self, process_id: str, device_key: str, count: int) -> None:
        streams = self._held.setdefault(process_id, {})
        if count == streams.get(device_key, 0):
            return
        if count:
            streams[device_key] = count
        else:
            del streams[device_key]
        self._tell([device_key])

    def _tell(self, device_keys: Iterable[str]) -> None:
        for key in device_keys:
            count = sum(streams.get(key, 0) for streams in self._held.values())
            if count:
                self._hub.elsewhere[key] = count
            else:
                self._hub.elsewhere.pop(key, None)
